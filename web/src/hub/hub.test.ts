import assert from "node:assert/strict";
import { test } from "node:test";
import { hubAddress } from "./address.ts";
import { retryDelay } from "./retry.ts";

test("retries go on for ever, spread out, never more than eight seconds apart", () => {
  assert.ok(retryDelay(0, 0) >= 250 && retryDelay(0, 1) <= 500);
  for (const attempt of [5, 100, 100_000]) {
    assert.equal(retryDelay(attempt, 0), 4_000);
    assert.equal(retryDelay(attempt, 1), 8_000);
  }
});

test("the hub is beside the page", () => {
  assert.equal(hubAddress("http://host:8080/"), "http://host:8080/hubs/telemetry");
  assert.equal(hubAddress("https://host/mill/#/alerts"), "https://host/mill/hubs/telemetry");
});

test("another hub may be named, on the same server only", () => {
  assert.equal(hubAddress("http://host/?hub=/hubs/plant#/"), "http://host/hubs/plant");
  assert.equal(hubAddress("http://host/?hub=https://elsewhere/hub"), "http://host/hubs/telemetry");
  assert.equal(hubAddress("http://host/?hub=//elsewhere/hub"), "http://host/hubs/telemetry");
  assert.equal(hubAddress("http://host/?hub=javascript:alert(1)"), "http://host/hubs/telemetry");
});
