import assert from "node:assert/strict";
import { test } from "node:test";
import { componentOf, labelOf, quantityOf, unitFieldOf } from "./quantity.ts";

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
