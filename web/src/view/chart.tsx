// One panel of a device, scrolling with time. Draws at most ten times a second, no more often than the picture moves by a
// pixel, and not at all while it is off the screen or the page is hidden.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { AlertEvent } from "../state/alerts.ts";
import type { Device, Panel } from "../state/device.ts";
import { type Plot, plot, summarise } from "../state/plot.ts";
import { figure, lineClass, type Live } from "./figure.ts";
import { moment, number, withUnit } from "./format.ts";

interface Props {
  device: Device;
  panel: Panel;
  /** Milliseconds. */
  span: number;
  spanName: string;
  events: () => readonly AlertEvent[];
}

const SHORTEST = 100;
const LONGEST = 1_000;

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

export function Chart({ device, panel, span, spanName, events }: Props): JSX.Element {
  const holder = useRef<HTMLDivElement>(null);
  const spanNow = useRef(span);
  spanNow.current = span;
  const [cursor, setCursor] = useState<number>();
  const fields = panel.series.map((series) => series.field);

  useEffect(() => {
    const live: Live = { events, onCursor: setCursor, span: () => spanNow.current };
    return run(holder.current as HTMLDivElement, device, panel, live);
  }, [device, panel.name, fields.join()]);

  const shown = cursor === undefined ? undefined : rowAt(device, cursor);
  return (
    <figure class="chart" data-panel={panel.name}>
      <figcaption class={`chart-head ${panel.series.length > 1 ? "several" : ""}`}>
        <h2>
          {panel.quantity.label} {panel.quantity.unit && <span class="unit">{panel.quantity.unit}</span>}
        </h2>
        <p class="readout">
          {shown && <span class="at">{moment(shown.time, Date.now())}</span>}
          {panel.series.map((series, i) => (
            <span key={series.field} class={`reading ${lineClass(i)}`}>
              {panel.series.length > 1 && <span class="axis-name">{series.label}</span>}
              <b>{number((shown ? shown.value(series.field) : device.numbers.get(series.field)?.number) ?? NaN, panel.quantity)}</b>
            </span>
          ))}
        </p>
      </figcaption>
      <div class="canvas" ref={holder} role="img" aria-label={describe(device, panel, span, spanName)} />
    </figure>
  );

  function rowAt(of: Device, time: number): { time: number; value(field: string): number | undefined } | undefined {
    const rows = of.history.between(time, time);
    const row = rows.times.findIndex((known) => known >= time);
    if (row < 0) return undefined;
    return { time: rows.times[row] as number, value: (field) => rows.columns.get(field)?.[row] };
  }
}

/** What the picture says, in words. */
function describe(device: Device, panel: Panel, span: number, spanName: string): string {
  const to = device.clock(Date.now());
  const rows = device.history.between(to - span, to);
  const parts = panel.series.map((series) => {
    const figures = summarise(rows, series.field, to - span, to);
    const name = panel.series.length > 1 ? `${series.label}: ` : "";
    if (!figures) return `${name}no values`;
    const { last, low, high } = figures;
    return `${name}now ${withUnit(last, panel.quantity)}, lowest ${number(low, panel.quantity)}, highest ${number(high, panel.quantity)}`;
  });
  return `${panel.quantity.label} of ${device.name}, last ${spanName}. ${parts.join(". ")}.`;
}

/** Keeps a picture of the panel in `holder` until the returned function is called. */
function run(holder: HTMLDivElement, device: Device, panel: Panel, live: Live): () => void {
  const fields = panel.series.map((series) => series.field);
  let drawn: Plot = { times: [], values: [] };
  const inner: Live = {
    ...live,
    // Rows move under a resting cursor; its time is what lasts.
    onCursor: (row) => {
      const time = row === undefined ? undefined : drawn.times[row];
      live.onCursor(time === undefined ? undefined : Math.floor(time * 1000));
    },
  };
  const chart = new uPlot(figure(panel, Math.max(holder.clientWidth, 120), inner), [[]], holder);
  let visible = true;
  let timer: number | undefined;
  let frame: number | undefined;

  const draw = (): void => {
    if (frame !== undefined) cancelAnimationFrame(frame);
    frame = undefined;
    const to = device.clock(Date.now());
    const from = to - live.span();
    drawn = plot(device.history.between(from, to), fields, device.rhythm.patience, chart.bbox.width / devicePixelRatio);
    chart.batch(() => {
      chart.setData([drawn.times, ...drawn.values] as uPlot.AlignedData, false);
      chart.setScale("x", { min: from / 1000, max: to / 1000 });
    });
    wait();
  };
  const wait = (): void => {
    window.clearTimeout(timer);
    if (!visible || document.hidden) return;
    const pixel = live.span() / Math.max(1, chart.width);
    const pause = calm.matches ? LONGEST : Math.min(LONGEST, Math.max(SHORTEST, pixel));
    timer = window.setTimeout(() => {
      frame ??= requestAnimationFrame(draw);
    }, pause);
  };

  const seen = new IntersectionObserver((entries) => {
    visible = entries.some((entry) => entry.isIntersecting);
    if (visible) draw();
  });
  const sized = new ResizeObserver(() => {
    if (holder.clientWidth > 0 && holder.clientWidth !== chart.width) {
      chart.setSize({ width: holder.clientWidth, height: chart.height });
    }
  });
  seen.observe(holder);
  sized.observe(holder);
  document.addEventListener("visibilitychange", wait);

  return () => {
    document.removeEventListener("visibilitychange", wait);
    seen.disconnect();
    sized.disconnect();
    window.clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
    chart.destroy();
  };
}
