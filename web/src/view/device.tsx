// One device in full: its lines, its figures, what else it says, and its alerts.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Device } from "../state/device.ts";
import { summarise } from "../state/plot.ts";
import { quantityOf } from "../state/quantity.ts";
import { isCut, type Store } from "../state/store.ts";
import { AlertList } from "./alerts.tsx";
import { Chart } from "./chart.tsx";
import { age, number } from "./format.ts";
import { PresenceMark } from "./tile.tsx";

const SPANS = [
  { name: "minute", label: "1 min", milliseconds: 60_000 },
  { name: "15 minutes", label: "15 min", milliseconds: 15 * 60_000 },
] as const;

type Span = (typeof SPANS)[number];

export function DeviceScreen({ store, id, now }: { store: Store; id: string; now: number }): JSX.Element {
  const [span, setSpan] = useState<Span>(SPANS[0]);
  const device = store.device(id);
  const presence = isCut(store, now) ? "unknown" : device?.presence(now);
  return (
    <section class="device" aria-labelledby="device-title">
      <header class="screen-head">
        <a class="back" href="#/">
          <span aria-hidden="true">←</span> Devices
        </a>
        <div class="device-name">
          <h1 id="device-title" tabIndex={-1}>
            {device?.name ?? id}
          </h1>
          {device && presence && (
            <p class="tile-status">
              <PresenceMark presence={presence} />
              <span class="tile-age">{age(device.age(now))}</span>
            </p>
          )}
        </div>
        <div class="spans" role="group" aria-label="Time shown">
          {SPANS.map((choice) => (
            <button key={choice.name} type="button" aria-pressed={choice === span} onClick={() => setSpan(choice)}>
              {choice.label}
            </button>
          ))}
        </div>
      </header>
      {!device && <p class="empty">{id} has not spoken since this page opened. It appears here with its first message.</p>}
      {device && (
        <div class={`device-body ${presence === "online" ? "" : "stale"}`}>
          <div class="charts">
            {device.panels().map((panel) => (
              <Chart
                key={panel.name}
                device={device}
                panel={panel}
                span={span.milliseconds}
                spanName={span.name}
                events={() => store.alerts.events.filter((event) => event.key === id && event.to !== "PENDING")}
              />
            ))}
          </div>
          <div class="device-side">
            <Figures device={device} span={span} now={now} />
            <Others device={device} />
            <section class="card">
              <h2>Alerts</h2>
              <AlertList store={store} now={now} level={3} of={id} />
            </section>
          </div>
        </div>
      )}
    </section>
  );
}

function Figures({ device, span, now }: { device: Device; span: Span; now: number }): JSX.Element {
  const to = device.clock(now);
  const from = to - span.milliseconds;
  const rows = device.history.between(from, to);
  return (
    <section class="card scroller" tabIndex={0} aria-label={`Figures of the last ${span.name}`}>
      <table class="figures">
        <caption>Last {span.name}</caption>
        <thead>
          <tr>
            <th scope="col">Value</th>
            <th scope="col">now</th>
            <th scope="col">lowest</th>
            <th scope="col" class="mean">
              mean
            </th>
            <th scope="col">highest</th>
          </tr>
        </thead>
        <tbody>
          {device.panels().flatMap((panel) =>
            panel.series.map((series) => {
              const figures = summarise(rows, series.field, from, to);
              const cell = (value: number | undefined): string => (value === undefined ? "–" : number(value, panel.quantity));
              return (
                <tr key={series.field}>
                  <th scope="row">
                    {panel.quantity.label}
                    {panel.series.length > 1 && ` ${series.label}`} <span class="unit">{panel.quantity.unit}</span>
                  </th>
                  <td>{cell(figures?.last)}</td>
                  <td>{cell(figures?.low)}</td>
                  <td class="mean">{cell(figures?.mean)}</td>
                  <td>{cell(figures?.high)}</td>
                </tr>
              );
            }),
          )}
        </tbody>
      </table>
    </section>
  );
}

/** Counters and texts, which have no line. */
function Others({ device }: { device: Device }): JSX.Element | null {
  const counters = [...device.numbers].filter(([field]) => quantityOf(field).counter);
  const rows: [string, string][] = [
    ...counters.map(([field, value]): [string, string] => [field, String(value.number)]),
    ...device.texts,
  ];
  if (rows.length === 0 && device.dropped === 0) return null;
  return (
    <section class="card">
      <h2>Also sent</h2>
      <dl class="others">
        {rows.map(([field, text]) => (
          <div key={field}>
            <dt>{quantityOf(field).label}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      {device.dropped > 0 && <p class="aside">{device.dropped} values left out: a device may have 64 fields here.</p>}
    </section>
  );
}
