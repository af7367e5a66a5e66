// How bad, in shape, word and colour: an octagon, a triangle, a circle; a tick for what is over.

import type { JSX } from "preact";
import { gravity, isOpen } from "../state/alerts.ts";

const SHAPES = {
  critical: "M7 1.5h6l5.5 5.5v6L13 18.5H7L1.5 13V7z",
  warning: "M10 2 19 17.5H1z",
  info: "M10 1.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z",
  over: "M10 1.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z",
} as const;

const MARKS = {
  critical: "M10 5.5v5.5M10 14v.6",
  warning: "M10 7.5v4.5M10 14.6v.4",
  info: "M10 9v5M10 5.9v.4",
  over: "M6 10.3l2.8 2.8L14 7.6",
} as const;

export type Tone = keyof typeof SHAPES;

export function tone(level: string, state: string): Tone {
  if (!isOpen(state) && state !== "PENDING") return "over";
  return (["info", "info", "warning", "critical"] as const)[gravity(level)] ?? "warning";
}

export function Shape({ tone }: { tone: Tone }): JSX.Element {
  return (
    <svg class={`shape tone-${tone}`} viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <path class="shape-body" d={SHAPES[tone]} />
      <path class="shape-mark" d={MARKS[tone]} />
    </svg>
  );
}
