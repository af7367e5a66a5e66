import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "./history.ts";

const values = (entries: Record<string, number>): Map<string, number> => new Map(Object.entries(entries));

function all(history: History): { times: number[]; column(name: string): number[] } {
  const rows = history.between(-Infinity, Infinity);
  return { times: [...rows.times], column: (name) => [...(rows.columns.get(name) ?? [])] };
}

test("a history keeps no more rows than its limit, the newest", () => {
  const history = new History({ rows: 100, age: Infinity });
  for (let i = 0; i < 1_000; i++) history.add(i, values({ a: i * 2 }));
  assert.equal(history.length, 100);
  assert.equal(all(history).times[0], 900);
  assert.deepEqual(all(history).column("a").slice(-2), [1_996, 1_998]);
});

test("a history forgets what is older than its age, and takes in nothing that is", () => {
  const history = new History({ rows: 100, age: 50 });
  history.add(0, values({ a: 1 }));
  history.add(40, values({ a: 2 }));
  history.add(60, values({ a: 3 }));
  history.add(5, values({ a: 9 }));
  assert.deepEqual(all(history).times, [40, 60]);
});

test("a late row goes where its time belongs", () => {
  const history = new History({ rows: 100, age: Infinity });
  for (const time of [10, 30, 20, 5]) history.add(time, values({ a: time }));
  assert.deepEqual(all(history).times, [5, 10, 20, 30]);
  assert.deepEqual(all(history).column("a"), [5, 10, 20, 30]);
});

test("late rows into a full history push out the oldest, and order stands", () => {
  const history = new History({ rows: 64, age: Infinity });
  for (let i = 0; i < 500; i++) history.add(i % 3 === 0 ? i - 5.5 : i, values({ a: i % 3 === 0 ? i - 5.5 : i }));
  const { times, column } = all(history);
  assert.equal(times.length, 64);
  assert.deepEqual(times, [...times].sort((a, b) => a - b));
  assert.deepEqual(column("a"), times);
});

test("a second message of the same time completes the row", () => {
  const history = new History({ rows: 100, age: Infinity });
  history.add(10, values({ a: 1, b: 1 }));
  history.add(10, values({ b: 2, c: 3 }));
  assert.equal(history.length, 1);
  assert.deepEqual([all(history).column("a"), all(history).column("b"), all(history).column("c")], [[1], [2], [3]]);
});

test("a field that a message does not carry is NaN there, also before it was first seen and after arrays moved", () => {
  const history = new History({ rows: 70, age: Infinity });
  for (let i = 0; i < 200; i++) history.add(i, i % 2 === 0 ? values({ a: i }) : values({ b: i }));
  const { times, column } = all(history);
  times.forEach((time, row) => {
    assert.equal(column("a")[row], time % 2 === 0 ? time : NaN);
    assert.equal(column("b")[row], time % 2 === 1 ? time : NaN);
  });
});

test("a range comes with one row more on either side", () => {
  const history = new History({ rows: 100, age: Infinity });
  for (let i = 0; i < 10; i++) history.add(i * 10, values({ a: i }));
  assert.deepEqual([...history.between(25, 45).times], [20, 30, 40, 50]);
  assert.deepEqual([...history.between(200, 300).times], [90]);
  assert.deepEqual([...new History({ rows: 9, age: 9 }).between(0, 1).times], []);
});
