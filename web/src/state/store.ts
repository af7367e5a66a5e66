// Everything the page knows, fed by the hub and read by the views. Knows neither network nor screen nor clock: whoever feeds
// it says what time it is.

import { AlertBook, type AlertEvent } from "./alerts.ts";
import { Device } from "./device.ts";
import { readAlert, readIncidents, readTelemetry } from "./message.ts";

export type LinkState = "connecting" | "live" | "lost";

export interface Link {
  state: LinkState;
  since: number;
  /** Why the last attempt failed, in a few words. */
  reason: string;
}

export interface Limits {
  devices: number;
}

// Within this time of the first reading devices are put in order; later ones go to the end, so that nothing moves under a finger.
const SETTLING = 3_000;

export class Store {
  readonly alerts = new AlertBook();
  link: Link;
  malformed = 0;
  /** Devices that send but are not shown, by name while they are few. */
  private left = new Set<string>();
  private devices = new Map<string, Device>();
  private ordered: Device[] = [];
  private started: number | undefined;
  private arrived: number | undefined;
  private news: AlertEvent[] = [];
  private listeners = new Set<() => void>();

  constructor(
    now: number,
    private readonly limits: Limits = { devices: 200 },
  ) {
    this.link = { state: "connecting", since: now, reason: "" };
  }

  /** Calls `listener` after every change until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** In a lasting order: a device never changes its place while others come. */
  get all(): readonly Device[] {
    return this.ordered;
  }

  get unshown(): number {
    return this.left.size;
  }

  /** When the newest telemetry arrived. */
  get lastTelemetry(): number | undefined {
    return this.arrived;
  }

  device(id: string): Device | undefined {
    return this.devices.get(id);
  }

  hearTelemetry(argument: unknown, now: number): void {
    const { readings, malformed } = readTelemetry(argument);
    this.malformed += malformed;
    for (const reading of readings) this.deviceFor(reading.device, now)?.hear(reading, now);
    if (readings.length > 0) this.arrived = now;
    this.changed();
  }

  hearAlert(argument: unknown): void {
    const transition = readAlert(argument);
    if (!transition) this.malformed += 1;
    else if (this.alerts.hear(transition)) this.news.push(this.alerts.events[0] as AlertEvent);
    if (this.news.length > 50) this.news.shift();
    this.changed();
  }

  /** What the history answered to what was asked at `alerts.ask()`. */
  hearHistory(answer: unknown): void {
    const read = readIncidents(answer);
    if (!read) return;
    this.alerts.recall(read.open, read.all);
    this.changed();
  }

  /** The transitions that came since the last call: for whoever reads them out. */
  takeNews(): AlertEvent[] {
    return this.news.splice(0);
  }

  setLink(state: LinkState, now: number, reason = ""): void {
    if (this.link.state === "live" && state !== "live") this.alerts.doubt();
    const since = this.link.state === state ? this.link.since : now;
    this.link = { state, since, reason };
    this.changed();
  }

  private deviceFor(id: string, now: number): Device | undefined {
    const known = this.devices.get(id);
    if (known) return known;
    if (this.devices.size >= this.limits.devices) {
      if (this.left.size < 10_000) this.left.add(id);
      return undefined;
    }
    const device = new Device(id);
    this.devices.set(id, device);
    this.started ??= now;
    this.ordered = [...this.ordered, device];
    if (now - this.started <= SETTLING) this.ordered.sort((a, b) => byName.compare(a.id, b.id));
    return device;
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

/** Whether the line has been down for long enough that what is shown no longer passes for the present. */
export const isCut = (store: Store, now: number): boolean => store.link.state !== "live" && now - store.link.since > 2_000;

const byName = new Intl.Collator(undefined, { numeric: true });
