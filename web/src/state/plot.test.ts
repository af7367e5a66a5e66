import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rows } from "./history.ts";
import { isolated, plot, summarise } from "./plot.ts";

function rows(times: number[], columns: Record<string, number[]>): Rows {
  return {
    times: Float64Array.from(times),
    columns: new Map(Object.entries(columns).map(([name, values]) => [name, Float64Array.from(values)])),
  };
}

test("times become seconds, and a field left out lets the line run on", () => {
  const { times, values } = plot(rows([1_000, 2_000, 3_000], { a: [1, NaN, 3] }), ["a", "absent"], 5_000, 100);
  assert.deepEqual(times, [1, 2, 3]);
  assert.deepEqual(values, [
    [1, undefined, 3],
    [undefined, undefined, undefined],
  ]);
});

test("a silence ends the line", () => {
  const { times, values } = plot(rows([0, 1_000, 9_000, 10_000], { a: [1, 2, 3, 4] }), ["a"], 3_000, 100);
  assert.deepEqual(values, [[1, 2, null, 3, 4]]);
  assert.ok(times.every((time, i) => i === 0 || time > (times[i - 1] as number)));
});

test("more rows than pixels keep every peak, in order, with its gaps", () => {
  const count = 10_000;
  const times = Array.from({ length: count }, (_, i) => i * 10 + (i >= 5_000 ? 60_000 : 0));
  const column = times.map((_, i) => (i === 1_234 ? 99 : i === 7_777 ? -99 : Math.sin(i / 50)));
  const result = plot(rows(times, { a: column }), ["a"], 1_000, 300);
  assert.ok(result.times.length <= 2 * 300 + 6, `${result.times.length} points`);
  const drawn = result.values[0] as number[];
  assert.ok(drawn.includes(99) && drawn.includes(-99));
  assert.equal(drawn.filter((value) => value === null).length, 1);
  assert.ok(result.times.every((time, i) => i === 0 || time >= (result.times[i - 1] as number)));
});

test("several columns of one panel are thinned together", () => {
  const count = 1_000;
  const times = Array.from({ length: count }, (_, i) => i * 100);
  const { values } = plot(rows(times, { x: times.map((_, i) => i), y: times.map((_, i) => -i) }), ["x", "y"], 1_000, 50);
  assert.equal(values[0]?.length, values[1]?.length);
  assert.ok((values[0] as number[]).includes(999) && (values[1] as number[]).includes(-999));
});

test("values that no line reaches are known, so that they can be dots", () => {
  assert.deepEqual(isolated([]), []);
  assert.deepEqual(isolated([7]), [0]);
  assert.deepEqual(isolated([undefined, 7, undefined]), [1]);
  assert.deepEqual(isolated([1, 2]), []);
  assert.deepEqual(isolated([1, null, 2, undefined, 3, null, undefined, 4]), [0, 7]);
  assert.deepEqual(isolated([null, null]), []);
});

test("a summary speaks of its range only, and not of what was left out", () => {
  const data = rows([0, 1, 2, 3, 4], { a: [100, 1, NaN, 5, 3] });
  assert.deepEqual(summarise(data, "a", 1, 4), { last: 3, low: 1, high: 5, mean: 3 });
  assert.equal(summarise(data, "a", 2, 2), undefined);
  assert.equal(summarise(data, "b", 0, 4), undefined);
});
