// Numbers, ages and times as people read them.

import type { Quantity } from "../state/quantity.ts";

const numbers = new Map<string, Intl.NumberFormat>();

function fixed(value: number, least: number, most: number): string {
  const key = `${least} ${most}`;
  let found = numbers.get(key);
  if (!found) {
    found = new Intl.NumberFormat(undefined, { minimumFractionDigits: least, maximumFractionDigits: most });
    numbers.set(key, found);
  }
  // What rounds to zero is no minus zero.
  return found.format(Math.abs(value) < 0.5 * 10 ** -most ? 0 : value);
}

export function number(value: number, quantity?: Pick<Quantity, "decimals">): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e15) return value.toExponential(2);
  if (size >= 1e7) return compact.format(value);
  if (quantity?.decimals !== undefined) return fixed(value, quantity.decimals, quantity.decimals);
  if (size > 0 && size < 1e-3) return value.toExponential(2);
  return fixed(value, 0, size < 100 ? 3 : size < 10_000 ? 2 : 0);
}

const narrow = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 7, useGrouping: false });
const compact = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6, notation: "compact" });

/** For a chart's axis, which has no room for separators of thousands. */
export function tick(value: number): string {
  const size = Math.abs(value);
  if (size < 1e6 && (size === 0 || size >= 1e-4)) return narrow.format(value);
  return value.toExponential(3).replace(/\.?0*e\+?/, "e");
}

export function withUnit(value: number, quantity: Quantity): string {
  return quantity.unit ? `${number(value, quantity)} ${quantity.unit}` : number(value, quantity);
}

/** "3 s", "12 min", "5 h", "2 d". */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

// By 24 hours everywhere: "07:02:30 PM" has no room below a chart, nor beside the line's condition.
const hours = { hourCycle: "h23" } as const;
const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", ...hours });
const long = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", ...hours });
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", ...hours });

export const clock = (time: number): string => short.format(time);

/** The time of day, with the date if that was another day than `now`'s. */
export function moment(time: number, now: number): string {
  return new Date(time).toDateString() === new Date(now).toDateString() ? long.format(time) : dated.format(time);
}
