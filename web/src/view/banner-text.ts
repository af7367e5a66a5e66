// What the banner says of the line, as a pure function of what is known.

import type { Link } from "../state/store.ts";
import { age, clock } from "./format.ts";

export type Condition = "live" | "connecting" | "reconnecting" | "offline";

export interface Banner {
  condition: Condition;
  word: string;
  /** From when the values are. */
  values: string;
  /** Why it is so, if that is known. */
  reason: string;
}

/** After this long without a connection the page no longer promises that it comes right back; it still tries. */
const GIVES_UP_HOPE = 60_000;

export function banner(link: Link, lastTelemetry: number | undefined, online: boolean, now: number): Banner {
  if (link.state === "live") {
    return { condition: "live", word: "Live", values: lastTelemetry === undefined ? "waiting for values" : "", reason: "" };
  }
  const values = lastTelemetry === undefined ? "no values yet" : `values from ${clock(lastTelemetry)}`;
  const waited = now - link.since;
  if (!online) return { condition: "offline", word: "Offline", values, reason: "this device has no network" };
  const { reason } = link;
  if (waited > GIVES_UP_HOPE) return { condition: "offline", word: "Offline", values, reason };
  if (link.state === "connecting") return { condition: "connecting", word: "Connecting", values, reason };
  return { condition: "reconnecting", word: `Reconnecting (${age(waited)})`, values, reason };
}
