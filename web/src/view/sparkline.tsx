// The last minutes of one value as a small line, without axes: its figures stand beside it.

import type { JSX } from "preact";
import type { Device, Panel } from "../state/device.ts";
import { isolated, plot } from "../state/plot.ts";
import { rangeOf } from "../state/quantity.ts";

const WIDTH = 120;
const HEIGHT = 32;
// From what little there is, soon after the page opened, to two minutes.
const LEAST = 20_000;
const MOST = 120_000;

export function Sparkline({ device, panel, now }: { device: Device; panel: Panel; now: number }): JSX.Element {
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={sparkPath(device, panel, device.clock(now))} />
    </svg>
  );
}

/** The line as SVG path data in a box of WIDTH by HEIGHT, its right edge at `to`. */
function sparkPath(device: Device, panel: Panel, to: number): string {
  const span = Math.min(MOST, Math.max(LEAST, to - (device.history.oldest ?? to)));
  const from = to - span;
  const field = panel.series[0]?.field ?? "";
  const { times, values } = plot(device.history.between(from, to), [field], device.rhythm.patience, WIDTH / 2);
  const column = values[0] ?? [];
  let low = Infinity;
  let high = -Infinity;
  for (const value of column) {
    if (typeof value !== "number") continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return "";
  [low, high] = rangeOf(panel.quantity, low, high);

  const alone = new Set(isolated(column));
  let path = "";
  let pen = "M";
  times.forEach((time, i) => {
    const value = column[i];
    if (value === null) pen = "M";
    if (typeof value !== "number") return;
    const x = ((time * 1000 - from) / span) * WIDTH;
    const y = HEIGHT - 3 - ((value - low) / (high - low)) * (HEIGHT - 6);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    if (alone.has(i)) path += "h0.1"; // with round ends, a dot
    pen = "L";
  });
  return path;
}
