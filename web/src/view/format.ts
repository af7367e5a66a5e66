// Numbers, ages and times as people read them.

import type { Quantity } from "../state/quantity.ts";

const numbers = new Map<string, Intl.NumberFormat>();

function formatter(decimals: number | undefined): Intl.NumberFormat {
  const key = String(decimals);
  let found = numbers.get(key);
  if (!found) {
    found = new Intl.NumberFormat(undefined, { minimumFractionDigits: decimals ?? 0, maximumFractionDigits: decimals ?? 3 });
    numbers.set(key, found);
  }
  return found;
}

export function number(value: number, quantity?: Pick<Quantity, "decimals">): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-3)) return value.toExponential(2);
  return formatter(quantity?.decimals).format(value);
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

const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const long = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const clock = (time: number): string => short.format(time);

/** The time of day, with the date if that was another day than `now`'s. */
export function moment(time: number, now: number): string {
  return new Date(time).toDateString() === new Date(now).toDateString() ? long.format(time) : dated.format(time);
}
