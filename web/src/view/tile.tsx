// One device at a glance. Its height is always the same, whatever it shows.

import { Component, type JSX } from "preact";
import type { Incident } from "../state/alerts.ts";
import type { Device, Panel, Presence } from "../state/device.ts";
import { labelOf } from "../state/quantity.ts";
import { age, number, withUnit } from "./format.ts";
import { Shape, tone } from "./level.tsx";
import { deviceLink } from "./route.ts";
import { Sparkline } from "./sparkline.tsx";

interface Props {
  device: Device;
  incident: Incident | undefined;
  now: number;
  /** The line is down: nothing here is new, and nobody knows how the device is. */
  cut: boolean;
}

const BIG = 2;
const SMALL = 2;

export class Tile extends Component<Props> {
  private drawn = "";

  // Two hundred tiles share the screen's ten turns a second: those that would look the same sit out.
  override shouldComponentUpdate(next: Props): boolean {
    return look(next) !== this.drawn;
  }

  override render({ device, incident, now, cut }: Props): JSX.Element {
    this.drawn = look({ device, incident, now, cut });
    const presence = cut ? "unknown" : device.presence(now);
    const panels = device.panels().filter((panel) => panel.series.length === 1);
    return (
      <li class={`tile ${presence === "online" ? "" : "stale"}`} data-device={device.id}>
        <a href={deviceLink(device.id)} class="tile-link">
          <h2 class="tile-name">{device.name}</h2>
          <p class="tile-status">
            <PresenceMark presence={presence} />
            <span class="tile-age">{age(device.age(now))}</span>
            {incident && (
              <span class={`tile-alert tone-${tone(incident.level, incident.state)}`}>
                <Shape tone={tone(incident.level, incident.state)} />
                <span>{incident.rule}</span>
              </span>
            )}
          </p>
          <div class="tile-values">
            {panels.slice(0, BIG).map((panel) => (
              <Big key={panel.name} device={device} panel={panel} now={now} />
            ))}
            {panels.length === 0 && [...device.texts].slice(0, BIG).map(([field, text]) => <Said key={field} field={field} text={text} />)}
          </div>
          <dl class="tile-more">
            {panels.slice(BIG, BIG + SMALL).map((panel) => (
              <div key={panel.name}>
                <dt>{panel.quantity.label}</dt>
                <dd>{withUnit(valueOf(device, panel), panel.quantity)}</dd>
              </div>
            ))}
          </dl>
        </a>
      </li>
    );
  }
}

function Big({ device, panel, now }: { device: Device; panel: Panel; now: number }): JSX.Element {
  return (
    <div class="big" data-field={panel.name}>
      <span class="big-label">{panel.quantity.label}</span>
      <span class="big-value">
        <b>{number(valueOf(device, panel), panel.quantity)}</b> <span class="unit">{panel.quantity.unit}</span>
      </span>
      <Sparkline device={device} panel={panel} now={now} />
    </div>
  );
}

/** In the place of a number where a device has none. */
function Said({ field, text }: { field: string; text: string }): JSX.Element {
  return (
    <div class="big">
      <span class="big-label">{labelOf(field)}</span>
      <span class="big-value">{text}</span>
    </div>
  );
}

export function PresenceMark({ presence }: { presence: Presence | "unknown" }): JSX.Element {
  return (
    <span class={`presence ${presence}`}>
      <span class="dot" aria-hidden="true" />
      {presence}
    </span>
  );
}

function valueOf(device: Device, panel: Panel): number {
  return device.numbers.get(panel.series[0]?.field ?? "")?.number ?? NaN;
}

function look({ device, incident, now, cut }: Props): string {
  const alert = incident ? `${incident.id} ${incident.level} ${incident.state}` : "";
  return `${device.id} ${device.version} ${age(device.age(now))} ${device.presence(now)} ${cut} ${alert}`;
}
