// How uPlot draws one panel: a time axis that the caller moves, up to four lines told apart by colour and by dash, and the
// alerts of the device as marks on the time axis.

import uPlot from "uplot";
import type { AlertEvent } from "../state/alerts.ts";
import type { Panel } from "../state/device.ts";
import { type Cell, isolated } from "../state/plot.ts";
import { type Quantity, rangeOf } from "../state/quantity.ts";
import { clock, moment, tick } from "./format.ts";
import { tone } from "./level.tsx";
import { theme } from "./theme.ts";

export const HEIGHT = 148;
const AXIS_WIDTH = 58;
const TIME_WIDTH = 54; // of a label such as 15:47:30
const FONT = "12px system-ui, sans-serif";
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
const LINES = ["line-1", "line-2", "line-3", "line-4"] as const;

export interface Live {
  events(): readonly AlertEvent[];
  /** The row under the cursor, or none. */
  onCursor(row: number | undefined): void;
  /** Milliseconds that the picture spans. */
  span(): number;
}

export const lineClass = (index: number): string => `line-${(index % LINES.length) + 1}`;

export function figure(panel: Panel, width: number, live: Live): uPlot.Options {
  const grid = { stroke: () => theme().grid, width: 1 };
  const axis = { font: FONT, stroke: () => theme()["text-muted"], grid, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    padding: [14, 10, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "device" }, points: { size: 7 } },
    scales: { x: { time: true, auto: false }, y: { range: (_, low, high) => spread(low, high, panel.quantity) } },
    axes: [
      {
        ...axis,
        size: 26,
        gap: 4,
        space: 70,
        values: (chart: uPlot, splits: number[]) => splits.map((at) => (fits(chart, at) ? label(at * 1000, live.span()) : "")),
      },
      { ...axis, size: AXIS_WIDTH, gap: 6, space: 32, values: (_, splits) => splits.map(tick) },
    ],
    series: [
      {},
      ...panel.series.map((series, i) => ({
        label: series.label,
        stroke: stroke(i),
        width: 1.75,
        dash: DASHES[i % DASHES.length],
        // The schemes' colours have six hexadecimal digits; these two make them nearly transparent.
        fill: panel.series.length === 1 ? () => `${theme()["line-1"]}14` : undefined,
        // A line needs two points: a value that stands alone is a dot.
        points: { show: false, size: 6, fill: stroke(i), filter: (chart: uPlot, index: number) => isolated(chart.data[index] as Cell[]) },
      })),
    ],
    hooks: {
      draw: [(chart) => mark(chart, live.events())],
      setCursor: [(chart) => live.onCursor(chart.cursor.idx ?? undefined)],
    },
  };
}

function spread(low: number | null, high: number | null, quantity: Quantity): [number, number] {
  if (low === null || high === null) return [0, 1];
  const [from, to] = rangeOf(quantity, low, high);
  const room = (to - from) * 0.12;
  return [from - room, to + room];
}

const stroke = (index: number) => (): string => theme()[LINES[index % LINES.length] as (typeof LINES)[number]];

/** Whether the label of a time is not cut by the picture's right end. */
function fits(chart: uPlot, time: number): boolean {
  return chart.bbox.left / devicePixelRatio + chart.valToPos(time, "x") + TIME_WIDTH / 2 <= chart.width;
}

function label(time: number, span: number): string {
  return span <= 5 * 60_000 ? moment(time, time) : clock(time);
}

function mark(chart: uPlot, events: readonly AlertEvent[]): void {
  const { ctx, bbox } = chart;
  const { min, max } = chart.scales.x ?? {};
  if (min == null || max == null) return;
  const unit = devicePixelRatio;
  ctx.save();
  for (const event of events) {
    const time = event.time / 1000;
    if (time < min || time > max) continue;
    const look = tone(event.level, event.to);
    const x = Math.round(chart.valToPos(time, "x", true));
    ctx.strokeStyle = ctx.fillStyle = theme()[look];
    ctx.lineWidth = unit;
    ctx.setLineDash([3 * unit, 3 * unit]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    sign(ctx, look, x, bbox.top - 6 * unit, 5 * unit);
  }
  ctx.restore();
}

/** The level's shape, `radius` around (x, y). */
function sign(ctx: CanvasRenderingContext2D, look: ReturnType<typeof tone>, x: number, y: number, radius: number): void {
  ctx.beginPath();
  if (look === "warning") {
    ctx.moveTo(x, y - radius);
    ctx.lineTo(x + radius, y + radius * 0.8);
    ctx.lineTo(x - radius, y + radius * 0.8);
  } else if (look === "critical") {
    for (let corner = 0; corner < 8; corner++) {
      const angle = (Math.PI / 8) * (2 * corner + 1);
      ctx.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
    }
  } else {
    ctx.arc(x, y, radius * 0.85, 0, 2 * Math.PI);
  }
  ctx.closePath();
  if (look === "over") {
    ctx.lineWidth = radius * 0.4;
    ctx.stroke();
  } else {
    ctx.fill();
  }
}
