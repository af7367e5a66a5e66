// The hub's two messages and the history's answer, read from what arrived. Whoever sends nonsense is ignored, and the caller
// counts it.

import type { Incident } from "./alerts.ts";

export interface Reading {
  device: string;
  time: number; // milliseconds since the epoch
  numbers: Map<string, number>; // nested objects as "accelerometer.x"
  texts: Map<string, string>; // texts and booleans
  dropped: number; // fields beyond the limits below
}

export interface Transition {
  incident: string;
  rule: string;
  key: string;
  from: string;
  to: string;
  level: string;
  value: number | undefined;
  time: number;
  message: string;
  /** Why it moved: "escalated", "resolved", "ack:NAME" and others. */
  reason: string;
}

const FIELDS = 64;
const DEPTH = 3;
const TEXT = 200;

type Json = Record<string, unknown>;

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** The readings of one `telemetry` argument, and how many of its entries were none. */
export function readTelemetry(argument: unknown): { readings: Reading[]; malformed: number } {
  const entries: unknown[] = Array.isArray(argument) ? argument : [argument];
  const readings: Reading[] = [];
  let malformed = 0;
  for (const entry of entries) {
    if (isObject(entry) && typeof entry.device === "string" && isTime(entry.time) && isObject(entry.fields)) {
      const reading: Reading = { device: entry.device, time: entry.time, numbers: new Map(), texts: new Map(), dropped: 0 };
      flatten(entry.fields, "", 1, reading);
      readings.push(reading);
    } else {
      malformed += 1;
    }
  }
  return { readings, malformed };
}

export function readAlert(argument: unknown): Transition | undefined {
  if (!isObject(argument)) return undefined;
  const { rule, key, from, to, level, value, time, message, reason, incident } = argument;
  if (typeof rule !== "string" || typeof key !== "string" || typeof to !== "string" || !isTime(time)) return undefined;
  return {
    incident: typeof incident === "string" || typeof incident === "number" ? String(incident) : `${rule}/${key}`,
    rule,
    key,
    from: textOf(from),
    to,
    level: textOf(level),
    value: typeof value === "number" && Number.isFinite(value) ? value : undefined,
    time,
    message: textOf(message),
    reason: textOf(reason),
  };
}

/** The open incidents in the answer of `GET /api/alerts`, and whether they are all; nothing if it is none. */
export function readIncidents(answer: unknown): { open: Incident[]; all: boolean } | undefined {
  if (!isObject(answer) || !Array.isArray(answer.alerts)) return undefined;
  const open = answer.alerts.flatMap((entry): Incident[] => {
    const last = isObject(entry) ? readAlert({ ...entry, to: entry.state, time: entry.changed }) : undefined;
    if (!last || !isTime(entry.opened)) return [];
    const { incident, rule, key, to, level, value, time, message } = last;
    return [{ id: incident, rule, key, state: to, level, value, message, since: entry.opened, changed: time, acked: textOf(entry.acked_by), certain: true }];
  });
  return { open, all: answer.next === undefined };
}

// Within what a Date can show.
function isTime(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= 8.64e15;
}

function flatten(fields: Json, prefix: string, depth: number, into: Reading): void {
  for (const [name, value] of Object.entries(fields)) {
    const path = prefix + name;
    if (isObject(value)) {
      if (depth < DEPTH) flatten(value, `${path}.`, depth + 1, into);
      else into.dropped += 1;
      continue;
    }
    const shown = typeof value === "number" || typeof value === "string" || typeof value === "boolean";
    if (!shown) continue;
    if (into.numbers.size + into.texts.size >= FIELDS) into.dropped += 1;
    else if (typeof value === "number") into.numbers.set(path, value);
    else into.texts.set(path, String(value).slice(0, TEXT));
  }
}
