import assert from "node:assert/strict";
import { test } from "node:test";
import { AlertBook, gravity, isOpen } from "./alerts.ts";
import type { Transition } from "./message.ts";

function transition(change: Partial<Transition>): Transition {
  return {
    incident: "i1",
    rule: "hot",
    key: "a",
    from: "OK",
    to: "FIRING",
    level: "warning",
    value: 31,
    time: 1_000,
    message: "a is hot",
    reason: "condition",
    ...change,
  };
}

test("an incident opens, moves and closes, and the log tells it newest first", () => {
  const book = new AlertBook();
  book.hear(transition({}));
  book.hear(transition({ from: "FIRING", to: "RECOVERING", time: 2_000, message: "" }));
  assert.equal(book.open().length, 1);
  assert.deepEqual([book.open()[0]?.state, book.open()[0]?.since, book.open()[0]?.message], ["RECOVERING", 1_000, "a is hot"]);
  book.hear(transition({ from: "RECOVERING", to: "OK", time: 3_000 }));
  assert.equal(book.open().length, 0);
  assert.deepEqual(
    book.events.map((event) => event.to),
    ["OK", "RECOVERING", "FIRING"],
  );
});

test("an incident that recovers is as bad as it was until it is over", () => {
  const book = new AlertBook();
  book.hear(transition({ level: "critical" }));
  book.hear(transition({ from: "FIRING", to: "RECOVERING", level: "ok", time: 2_000 }));
  assert.equal(book.open()[0]?.level, "critical");
});

test("a transition delivered twice is told once", () => {
  const book = new AlertBook();
  assert.ok(book.hear(transition({})));
  assert.ok(!book.hear(transition({})));
  assert.equal(book.events.length, 1);
});

test("an old transition that comes late does not reopen what is over", () => {
  const book = new AlertBook();
  book.hear(transition({ from: "FIRING", to: "OK", time: 5_000 }));
  book.hear(transition({ time: 1_000 }));
  assert.equal(book.open().length, 0);
});

test("the gravest come first, and pending is not open", () => {
  const book = new AlertBook();
  book.hear(transition({ incident: "w", level: "warning" }));
  book.hear(transition({ incident: "c", level: "critical", time: 500 }));
  book.hear(transition({ incident: "p", to: "PENDING" }));
  assert.deepEqual(
    book.open().map((incident) => incident.id),
    ["c", "w"],
  );
  assert.equal(book.worst("a")?.id, "c");
  assert.equal(book.worst("b"), undefined);
  assert.ok(gravity("critical") > gravity("the user's own") && gravity("the user's own") > gravity("info"));
  assert.ok(!isOpen("") && !isOpen("PENDING") && isOpen("LATCHED"));
});

test("after a lost connection what was open is no longer certain, until news of it comes", () => {
  const book = new AlertBook();
  book.hear(transition({}));
  book.doubt();
  assert.equal(book.open()[0]?.certain, false);
  book.hear(transition({ from: "FIRING", to: "FIRING", level: "critical", time: 2_000 }));
  assert.equal(book.open()[0]?.certain, true);
});

test("the book stays bounded, and what is open stays before what is over", () => {
  const book = new AlertBook();
  book.hear(transition({ incident: "kept" }));
  for (let i = 0; i < 1_000; i++) book.hear(transition({ incident: `over-${i}`, to: "OK", time: i }));
  assert.equal(book.events.length, 300);
  assert.deepEqual(
    book.open().map((incident) => incident.id),
    ["kept"],
  );
  for (let i = 0; i < 1_000; i++) book.hear(transition({ incident: `open-${i}`, time: i }));
  assert.equal(book.open().length, 200);
});
