// One device as the page knows it: its newest values, its history, and how fresh they are.

import { History, type HistoryLimit } from "./history.ts";
import type { Reading } from "./message.ts";
import { componentOf, type Quantity, quantityOf, unitFieldOf } from "./quantity.ts";
import { Rhythm } from "./rhythm.ts";

export const KEPT: HistoryLimit = { rows: 3_600, age: 15 * 60_000 };

const FIELDS = 64;

export type Presence = "online" | "late" | "silent";

/** What is drawn together: one field, or the components of a vector. */
export interface Panel {
  name: string;
  quantity: Quantity;
  series: { field: string; label: string }[];
}

export interface Value {
  number: number;
  time: number;
}

export class Device {
  readonly history = new History(KEPT);
  readonly rhythm = new Rhythm();
  readonly numbers = new Map<string, Value>();
  readonly texts = new Map<string, string>();
  /** Rises with every message: whoever draws compares it. */
  version = 0;
  /** Fields left out because the device has too many. */
  dropped = 0;

  private arrived = 0;
  private newest = -Infinity;
  private panelsOf: { fields: number; units: number; panels: Panel[] } | undefined;
  private units = new Map<string, string>();

  constructor(readonly id: string) {}

  get name(): string {
    return this.id === "" ? "(no device)" : this.id;
  }

  hear(reading: Reading, now: number): void {
    this.version += 1;
    this.dropped += reading.dropped;
    this.rhythm.heard(reading.time, now);
    if (reading.time >= this.newest) {
      this.newest = reading.time;
      this.arrived = now;
    }

    const kept = new Map<string, number>();
    for (const [field, number] of reading.numbers) {
      const known = this.numbers.get(field);
      if (!known && this.numbers.size >= FIELDS) {
        this.dropped += 1;
        continue;
      }
      kept.set(field, number);
      if (!known || reading.time >= known.time) this.numbers.set(field, { number, time: reading.time });
    }
    for (const [field, text] of reading.texts) this.hearText(field, text);
    this.history.add(reading.time, kept);
  }

  /** Milliseconds since the newest message was true: since it came, and before that how much later than usual it came. */
  age(now: number): number {
    const late = this.arrived - this.newest - this.rhythm.clockOffset;
    return Math.max(0, now - this.arrived) + Math.max(0, late);
  }

  presence(now: number): Presence {
    const age = this.age(now);
    const patience = this.rhythm.patience;
    if (age <= patience) return "online";
    return age <= Math.max(60_000, patience * 4) ? "late" : "silent";
  }

  /** The present moment by the device's clock, which its history's times follow. */
  clock(now: number): number {
    return now - this.rhythm.clockOffset;
  }

  /** Everything that can be drawn, the most interesting first. */
  panels(): Panel[] {
    const fields = this.numbers.size;
    if (this.panelsOf?.fields !== fields || this.panelsOf.units !== this.units.size) {
      this.panelsOf = { fields, units: this.units.size, panels: this.group() };
    }
    return this.panelsOf.panels;
  }

  private hearText(field: string, text: string): void {
    const measured = unitFieldOf(field);
    if (measured !== undefined && (this.units.has(measured) || this.units.size < FIELDS)) {
      if (this.units.get(measured) !== text) this.panelsOf = undefined;
      this.units.set(measured, text);
      return;
    }
    if (this.texts.has(field) || this.texts.size < FIELDS) this.texts.set(field, text);
    else this.dropped += 1;
  }

  private group(): Panel[] {
    const panels = new Map<string, Panel>();
    for (const field of this.numbers.keys()) {
      const component = componentOf(field);
      const name = component?.vector ?? field;
      const quantity = quantityOf(name, this.units.get(name));
      if (quantity.counter) continue;
      const panel = panels.get(name) ?? { name, quantity, series: [] };
      panel.series.push({ field, label: component?.axis ?? quantity.label });
      panel.series.sort((a, b) => (a.label < b.label ? -1 : 1));
      panels.set(name, panel);
    }
    return [...panels.values()].sort(
      (a, b) => a.quantity.rank - b.quantity.rank || a.quantity.label.localeCompare(b.quantity.label),
    );
  }
}
