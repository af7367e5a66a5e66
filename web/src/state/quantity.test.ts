import assert from "node:assert/strict";
import { test } from "node:test";
import { componentOf, labelOf, quantityOf, rangeOf, unitFieldOf } from "./quantity.ts";

test("known names get their unit however they are written", () => {
  for (const name of ["dewPoint", "dew_point", "DewPoint", "dew-point"]) {
    assert.equal(quantityOf(name).unit, "°C", name);
    assert.equal(quantityOf(name).label, "Dew point", name);
  }
  assert.ok(quantityOf("temperature").rank < quantityOf("humidity").rank);
  assert.ok(quantityOf("humidity").rank < quantityOf("something").rank);
});

test("the device's own unit wins", () => {
  assert.equal(quantityOf("temperature", "F").unit, "°F");
  assert.equal(unitFieldOf("temperature_unit"), "temperature");
  assert.equal(unitFieldOf("TemperatureUnit"), "Temperature");
  assert.equal(unitFieldOf("unit"), undefined);
});

test("counters are no measurements", () => {
  assert.ok(quantityOf("messageId").counter);
  assert.ok(!quantityOf("message").counter);
});

test("unknown names become readable", () => {
  assert.equal(labelOf("hook_loadNow"), "Hook load now");
  assert.equal(labelOf("room.CO2"), "Room CO2");
  assert.equal(labelOf("_"), "_");
});

test("components of a vector are known by their ending", () => {
  assert.deepEqual(componentOf("accelerometer.x"), { vector: "accelerometer", axis: "x" });
  assert.deepEqual(componentOf("magnetometerY"), { vector: "magnetometer", axis: "y" });
  assert.deepEqual(componentOf("gyro_z"), { vector: "gyro", axis: "z" });
  assert.equal(componentOf("x"), undefined);
  assert.equal(componentOf("max"), undefined);
  assert.equal(componentOf("RELAY"), undefined);
});

test("an axis spans more than nothing, however little the values move", () => {
  assert.deepEqual(rangeOf(quantityOf("relay"), 0, 0), [-0.5, 0.5]);
  assert.deepEqual(rangeOf(quantityOf("temperature"), 21, 21), [20.8, 21.2]);
  assert.deepEqual(rangeOf(quantityOf("temperature"), -5, 30), [-5, 30]);
  for (const size of [5e-324, 1e-9, 1, -7.5, 1e20, 1e300]) {
    for (const name of ["relay", "temperature", "latitude"]) {
      const [low, high] = rangeOf(quantityOf(name), size, size);
      assert.ok(low < size && size < high, `${name} ${size}: ${low} to ${high}`);
    }
  }
});
