import assert from "node:assert/strict";
import { test } from "node:test";
import { KEPT } from "./device.ts";
import { isCut, Store } from "./store.ts";

const T = 1_700_000_000_000;

const record = (device: string, time: number, fields: object): object => ({ device, time, fields });

test("newest values win, whatever order they come in", () => {
  const store = new Store(T);
  store.hearTelemetry([record("a", T, { temperature: 20 }), record("a", T - 1_000, { temperature: 10, humidity: 40 })], T);
  const device = store.device("a");
  assert.equal(device?.numbers.get("temperature")?.number, 20);
  assert.equal(device?.numbers.get("humidity")?.number, 40);
  assert.equal(device?.history.length, 2);
});

test("a nested object becomes one panel with a line for each component, and so do flat names", () => {
  const store = new Store(T);
  store.hearTelemetry([record("a", T, { messageId: 7, accelerometer: { z: 3, x: 1, y: 2 }, gyroX: 1, gyroY: 2, temperature: 20 })], T);
  const panels = store.device("a")?.panels() ?? [];
  assert.deepEqual(
    panels.map((panel) => [panel.name, panel.series.map((series) => series.label).join("")]),
    [
      ["temperature", "Temperature"],
      ["accelerometer", "xyz"],
      ["gyro", "xy"],
    ],
  );
});

test("malformed messages are ignored and counted, and good ones beside them count", () => {
  const store = new Store(T);
  const bad: unknown[] = [null, 7, "x", [], {}, record("a", NaN, {}), { device: 1, time: T, fields: {} }, { device: "a", time: T }];
  store.hearTelemetry([...bad, record("good", T, { a: 1 })], T);
  store.hearTelemetry(undefined, T);
  for (const alert of [undefined, null, [], { rule: "r" }, { rule: "r", key: "k", to: "OK", time: "now" }]) store.hearAlert(alert);
  assert.equal(store.malformed, bad.length + 1 + 5);
  assert.deepEqual(
    store.all.map((device) => device.id),
    ["good"],
  );
});

test("names that JavaScript knows are fields like any other", () => {
  const store = new Store(T);
  store.hearTelemetry([JSON.parse(`{"device":"__proto__","time":${T},"fields":{"constructor":1,"__proto__":{"x":2}}}`)], T);
  assert.equal(store.device("__proto__")?.numbers.get("constructor")?.number, 1);
  assert.equal(store.device("__proto__")?.numbers.get("__proto__.x")?.number, 2);
});

test("history is bounded in rows and age", () => {
  const store = new Store(T);
  for (let i = 0; i < KEPT.rows + 500; i++) store.hearTelemetry([record("a", T + i * 10, { v: i })], T + i * 10);
  assert.equal(store.device("a")?.history.length, KEPT.rows);
  store.hearTelemetry([record("a", T + KEPT.age * 3, { v: 0 })], T + KEPT.age * 3);
  assert.equal(store.device("a")?.history.length, 1);
});

test("more devices than the limit are counted, not kept", () => {
  const store = new Store(T, { devices: 3 });
  for (let i = 0; i < 10; i++) store.hearTelemetry([record(`d${i}`, T, { v: i })], T);
  store.hearTelemetry([record("d9", T + 1, { v: 1 }), record("d0", T + 1, { v: 5 })], T + 1);
  assert.equal(store.all.length, 3);
  assert.equal(store.unshown, 7);
  assert.equal(store.device("d0")?.numbers.get("v")?.number, 5);
});

test("more fields than a device may have are counted, not kept", () => {
  const store = new Store(T);
  for (let i = 0; i < 40; i++) {
    store.hearTelemetry([record("a", T + i, Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`f${i}_${n}`, n])))], T + i);
  }
  assert.equal(store.device("a")?.numbers.size, 64);
  assert.equal(store.device("a")?.dropped, 400 - 64);
});

test("devices are in order of their names at first, and later ones go to the end", () => {
  const store = new Store(T);
  store.hearTelemetry([record("n10", T, {}), record("n2", T, {}), record("n1", T, {})], T);
  store.hearTelemetry([record("n3", T + 500, {})], T + 500);
  store.hearTelemetry([record("a", T + 60_000, {}), record("n0", T + 60_000, {})], T + 60_000);
  assert.deepEqual(
    store.all.map((device) => device.id),
    ["n1", "n2", "n3", "n10", "a", "n0"],
  );
});

test("a device is online within three of its intervals, then late, then silent", () => {
  const store = new Store(T);
  for (let i = 0; i <= 10; i++) store.hearTelemetry([record("a", T + i * 5_000, { v: i })], T + i * 5_000);
  const device = store.device("a");
  const last = T + 50_000;
  assert.equal(device?.presence(last + 15_000), "online");
  assert.equal(device?.presence(last + 15_001), "late");
  assert.equal(device?.presence(last + 60_001), "silent");
  assert.equal(device?.age(last + 7_000), 7_000);
});

test("a device with a wrong clock is not late, but messages kept back by a broker are", () => {
  const store = new Store(T);
  const wrong = 3_600_000;
  for (let i = 0; i < 5; i++) store.hearTelemetry([record("a", T + i * 1_000 - wrong, { v: i })], T + i * 1_000);
  const device = store.device("a");
  assert.equal(device?.age(T + 4_000), 0);
  assert.equal(device?.clock(T + 4_000), T + 4_000 - wrong);
  store.hearTelemetry([record("a", T + 5_000 - wrong, { v: 5 })], T + 95_000);
  assert.equal(device?.age(T + 95_000), 90_000);
});

test("texts are kept as texts, and a unit beside a value is its unit", () => {
  const store = new Store(T);
  store.hearTelemetry([record("a", T, { temperature: 70, temperature_unit: "F", status: "ok", on: true, nothing: null, list: [1] })], T);
  const device = store.device("a");
  assert.equal(device?.panels()[0]?.quantity.unit, "°F");
  assert.deepEqual([...(device?.texts ?? [])], [
    ["status", "ok"],
    ["on", "true"],
  ]);
});

test("the line is cut two seconds after it was lost", () => {
  const store = new Store(T);
  store.setLink("live", T);
  assert.ok(!isCut(store, T + 60_000));
  store.setLink("lost", T + 60_000, "");
  store.setLink("lost", T + 61_000, "the server answered 503");
  assert.equal(store.link.since, T + 60_000);
  assert.ok(!isCut(store, T + 62_000));
  assert.ok(isCut(store, T + 62_001));
});

test("alerts are news once", () => {
  const store = new Store(T);
  const alert = { incident: "i", rule: "r", key: "a", from: "OK", to: "FIRING", level: "critical", value: 1, time: T, message: "m" };
  let changes = 0;
  store.subscribe(() => changes++);
  store.hearAlert(alert);
  store.hearAlert(alert);
  assert.equal(changes, 2);
  assert.equal(store.takeNews().length, 1);
  assert.equal(store.takeNews().length, 0);
});
