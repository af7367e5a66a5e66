import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertEvent } from "../state/alerts.ts";
import { speech } from "./announcer.tsx";
import { banner } from "./banner-text.ts";
import { age, clock, number, tick } from "./format.ts";
import { deviceLink, parseRoute } from "./route.ts";

const T = new Date(2026, 0, 2, 14, 2).getTime();

test("the banner says how the line is and how old the values are", () => {
  assert.equal(banner({ state: "live", since: T, reason: "" }, T, true, T).word, "Live");
  const lost = { state: "lost", since: T, reason: "" } as const;
  const reconnecting = banner(lost, T, true, T + 7_000);
  assert.deepEqual([reconnecting.condition, reconnecting.word], ["reconnecting", "Reconnecting (7 s)"]);
  assert.equal(reconnecting.values, `values from ${clock(T)}`);
  assert.equal(banner(lost, T, true, T + 61_000).condition, "offline");
  assert.equal(banner(lost, T, false, T + 1_000).condition, "offline");
  const refused = banner({ state: "connecting", since: T, reason: "the server answered 404" }, undefined, true, T);
  assert.deepEqual([refused.values, refused.reason], ["no values yet", "the server answered 404"]);
});

test("ages are short", () => {
  assert.deepEqual([0, 3_400, 99_000, 120_000, 3_600_000 * 5, 86_400_000 * 3].map(age), ["0 s", "3 s", "99 s", "2 min", "5 h", "3 d"]);
});

test("numbers fit their place", () => {
  assert.equal(number(Infinity), "–");
  assert.equal(number(1e20), "1.00e+20");
  assert.ok(number(123_456_789.123).length < 10);
  assert.deepEqual([1_200_000, -3e9, 0, 1008.75, 5e-7].map(tick), ["1.2e6", "-3e9", tick(0), "1008.75", "5e-7"]);
  assert.equal(number(21, { decimals: 1 }).length, 4);
  assert.equal(number(-0.04, { decimals: 1 }), number(0, { decimals: 1 }));
  assert.equal(number(-4.2e-9), "-4.20e-9");
  assert.equal(number(123.4567), number(123.46));
});

test("a link to a device leads to it, whatever its name", () => {
  for (const id of ["AZ3166-1", "a/b?c#d", "", "ü %"]) assert.deepEqual(parseRoute(deviceLink(id)), { screen: "device", id });
  assert.deepEqual(parseRoute("#/alerts"), { screen: "alerts" });
  for (const fragment of ["", "#/", "#/nowhere", "#/device/%E0%A4%A"]) assert.deepEqual(parseRoute(fragment), { screen: "live" });
});

test("what opens and what is over is read out, critical ones at once, and a flood in short", () => {
  const event = (change: Partial<AlertEvent>): AlertEvent => ({
    incident: "i",
    rule: "hot",
    key: "a",
    from: "OK",
    to: "FIRING",
    level: "warning",
    value: 1,
    time: T,
    message: "a is hot",
    reason: "condition",
    number: 1,
    ...change,
  });
  assert.deepEqual(speech([event({})]), { polite: "warning: a is hot.", assertive: "" });
  assert.deepEqual(speech([event({ level: "critical" })]), { polite: "", assertive: "critical: a is hot." });
  assert.equal(speech([event({ from: "FIRING", to: "OK" })]).polite, "Over: hot, a.");
  assert.equal(speech([event({ from: "FIRING", level: "critical", reason: "escalated" })]).assertive, "critical: a is hot.");
  for (const quiet of [{ to: "PENDING" }, { from: "PENDING", to: "OK" }, { from: "FIRING", reason: "ack:ann" }, { from: "FIRING", to: "RECOVERING" }]) {
    assert.equal(speech([event(quiet)]).polite, "", JSON.stringify(quiet));
  }
  assert.match(speech(Array.from({ length: 9 }, () => event({}))).polite, /And 6 more\.$/);
});
