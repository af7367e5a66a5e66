import assert from "node:assert/strict";
import { test } from "node:test";
import { AlertBook, gravity, isOpen } from "./alerts.ts";
import { readIncidents, type Transition } from "./message.ts";

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

// As `GET /api/alerts` tells of one.
const listed = (change: object): object => ({
  incident: "i1", rule: "hot", key: "a", state: "FIRING", level: "critical", opened: 500, changed: 1_000, value: 31, message: "a is hot", ...change,
});

function recall(book: AlertBook, alerts: object[], next?: string): void {
  const read = readIncidents(next === undefined ? { alerts } : { alerts, next }) ?? assert.fail("not understood");
  book.recall(read.open, read.all);
}

test("what was open before the page was is known from the history, without being news", () => {
  const book = new AlertBook();
  assert.ok(!book.complete);
  book.ask();
  recall(book, [listed({ acked_by: "ann" }), { incident: "nonsense" }]);
  assert.deepEqual(
    book.open().map(({ id, since, acked, message }) => [id, since, acked, message]),
    [["i1", 500, "ann", "a is hot"]],
  );
  assert.ok(book.complete);
  assert.equal(book.events.length, 0);
  book.hear(transition({ from: "FIRING", to: "OK", time: 2_000 }));
  assert.equal(book.open().length, 0);
});

test("what ended while the line was down is over once the history is asked, and nothing is in doubt", () => {
  const book = new AlertBook();
  book.hear(transition({ incident: "ended" }));
  book.hear(transition({ incident: "goes on" }));
  book.doubt();
  book.ask();
  recall(book, [listed({ incident: "goes on" })]);
  assert.deepEqual(
    book.open().map(({ id, certain }) => [id, certain]),
    [["goes on", true]],
  );
  recall(book, [], "a page follows");
  assert.equal(book.open().length, 1);
});

test("what moves between question and answer is as it moved", () => {
  const book = new AlertBook();
  book.ask();
  book.hear(transition({ incident: "new" }));
  book.hear(transition({ incident: "over", from: "FIRING", to: "OK" }));
  recall(book, [listed({ incident: "over" })]);
  assert.deepEqual(
    book.open().map((incident) => incident.id),
    ["new"],
  );
});

test("an acknowledgement says who, keeps the message, and is void once it gets worse", () => {
  const book = new AlertBook();
  book.hear(transition({}));
  book.hear(transition({ from: "FIRING", time: 2_000, reason: "ack:ann", message: "hot acknowledged by ann" }));
  assert.deepEqual([book.open()[0]?.acked, book.open()[0]?.message], ["ann", "a is hot"]);
  book.hear(transition({ from: "FIRING", time: 3_000, level: "critical", reason: "escalated" }));
  assert.equal(book.open()[0]?.acked, "");
});

test("an answer of the history that is none is not taken for one", () => {
  for (const none of [undefined, false, {}, { alerts: 3 }, []]) assert.equal(readIncidents(none), undefined);
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
