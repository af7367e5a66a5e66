// From rows to what a chart draws: gaps where the device was silent, and no more points than the screen can show.

import type { Rows } from "./history.ts";

/**
 * A value that a message did not carry is undefined, and the line runs on past it: devices leave out what has not changed.
 * null ends the line: nobody knows what happened there.
 */
export type Cell = number | null | undefined;

export interface Plot {
  times: number[]; // seconds, as uPlot has it
  values: Cell[][];
}

/**
 * The columns `fields` of `rows`, a gap where consecutive rows are more than `gapAfter` milliseconds apart, and at most about
 * two rows for each of `pixels` columns of the screen: the lowest and the highest value there, so that no peak gets lost.
 */
export function plot(rows: Rows, fields: readonly string[], gapAfter: number, pixels: number): Plot {
  const result: Plot = { times: [], values: fields.map(() => []) };
  const columns = fields.map((field) => rows.columns.get(field));
  const { times } = rows;
  const count = times.length;
  if (count === 0) return result;

  const span = (times[count - 1] as number) - (times[0] as number);
  const bucket = count > pixels * 2 ? span / pixels : 0;
  let start = 0;
  for (let row = 1; row <= count; row++) {
    const silent = row < count && (times[row] as number) - (times[row - 1] as number) > gapAfter;
    const full = row < count && Math.floor((times[row] as number) / bucket) !== Math.floor((times[start] as number) / bucket);
    if (row < count && !silent && bucket > 0 && !full) continue;
    emit(result, times, columns, start, row);
    if (silent) {
      result.times.push((times[row - 1] as number) / 1000 + 0.001);
      for (const values of result.values) values.push(null);
    }
    start = row;
  }
  return result;
}

type Column = Float64Array | undefined;

function emit(into: Plot, times: Float64Array, columns: Column[], start: number, end: number): void {
  if (end - start <= 2) {
    for (let row = start; row < end; row++) {
      into.times.push((times[row] as number) / 1000);
      columns.forEach((column, i) => into.values[i]?.push(cell(column, row)));
    }
    return;
  }
  into.times.push((times[start] as number) / 1000, (times[end - 1] as number) / 1000);
  columns.forEach((column, i) => into.values[i]?.push(...extremes(column, start, end)));
}

function cell(column: Column, row: number): Cell {
  const value = column?.[row];
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

/** The lowest and the highest value of the rows, in the order in which they came. */
function extremes(column: Column, start: number, end: number): [Cell, Cell] {
  let low: number | undefined;
  let high: number | undefined;
  for (let row = start; row < end; row++) {
    const value = cell(column, row);
    if (typeof value !== "number") continue;
    if (low === undefined || value < (column?.[low] as number)) low = row;
    if (high === undefined || value > (column?.[high] as number)) high = row;
  }
  if (low === undefined || high === undefined) return [undefined, undefined];
  const [first, second] = low < high ? [low, high] : [high, low];
  return [column?.[first], column?.[second]];
}

/** The places of the values that no line leads to or from, because the nearest other ones lie beyond an end of the line. */
export function isolated(values: readonly Cell[]): number[] {
  const places: number[] = [];
  let first: number | undefined; // of the line so far
  let count = 0;
  values.forEach((value, place) => {
    if (typeof value === "number" && count++ === 0) first = place;
    if (value !== null && place + 1 < values.length) return;
    if (count === 1) places.push(first as number);
    count = 0;
  });
  return places;
}

export interface Summary {
  last: number;
  low: number;
  high: number;
  mean: number;
}

/** What the rows of [from, to] say of one column in four numbers; undefined if nothing. */
export function summarise(rows: Rows, field: string, from: number, to: number): Summary | undefined {
  const column = rows.columns.get(field);
  if (!column) return undefined;
  let summary: Summary | undefined;
  let sum = 0;
  let count = 0;
  for (let row = 0; row < column.length; row++) {
    const time = rows.times[row] as number;
    const value = column[row] as number;
    if (Number.isNaN(value) || time < from || time > to) continue;
    sum += value;
    count += 1;
    summary = {
      last: value,
      low: Math.min(value, summary?.low ?? value),
      high: Math.max(value, summary?.high ?? value),
      mean: 0,
    };
  }
  if (summary) summary.mean = sum / count;
  return summary;
}
