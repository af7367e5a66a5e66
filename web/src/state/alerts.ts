// What the page knows of alerts: the incidents that it saw move, and every transition in the order of arrival. Bounded; the
// oldest resolved go first.

import type { Transition } from "./message.ts";

export interface Incident {
  id: string;
  rule: string;
  key: string;
  state: string;
  level: string;
  value: number | undefined;
  message: string;
  /** When it opened, as far as this page knows. */
  since: number;
  changed: number;
  /** Who has seen to it; empty if nobody. */
  acked: string;
  /** False once the connection was lost after the last news: what it became meanwhile is not known here. */
  certain: boolean;
}

export interface AlertEvent extends Transition {
  /** Counts arrivals. */
  number: number;
}

const EVENTS = 300;
const INCIDENTS = 200;

const CLOSED = new Set(["OK", "NORMAL", "RESOLVED"]);

/** Whether an incident in this state still wants somebody's attention. PENDING is none yet. */
export const isOpen = (state: string): boolean => state !== "" && state !== "PENDING" && !CLOSED.has(state);

const LEVELS = new Map([
  ["critical", 3],
  ["error", 3],
  ["warning", 2],
  ["info", 1],
]);

/** How bad a level is, for order and look: 3 critical, 2 warning, 1 information. A level of the user's own counts as a warning. */
export const gravity = (level: string): number => LEVELS.get(level.toLowerCase()) ?? 2;

export class AlertBook {
  private incidents = new Map<string, Incident>();
  private log: AlertEvent[] = [];
  private arrivals = 0;
  /** The incidents that moved since the history was asked. */
  private moved = new Set<string>();
  /** Whether the history has said what was open before this page was. */
  complete = false;

  /** Newest first. */
  get events(): readonly AlertEvent[] {
    return this.log;
  }

  /** Those that are open, the gravest first, then the latest. */
  open(): Incident[] {
    return [...this.incidents.values()]
      .filter((incident) => isOpen(incident.state))
      .sort((a, b) => gravity(b.level) - gravity(a.level) || b.since - a.since);
  }

  /** The gravest open incident of a key. */
  worst(key: string): Incident | undefined {
    return this.open().find((incident) => incident.key === key);
  }

  /** Takes in a transition; false if it came before, for delivery may repeat. */
  hear(transition: Transition): boolean {
    const same = (event: AlertEvent): boolean =>
      event.incident === transition.incident &&
      event.time === transition.time &&
      event.from === transition.from &&
      event.to === transition.to &&
      event.level === transition.level;
    if (this.log.some(same)) return false;

    this.arrivals += 1;
    this.log.unshift({ ...transition, number: this.arrivals });
    if (this.log.length > EVENTS) this.log.pop();
    this.move(transition);
    return true;
  }

  /** The connection was lost: news may have been missed. */
  doubt(): void {
    for (const incident of this.incidents.values()) incident.certain = false;
  }

  /** The history is being asked what is open: from now on what is heard is newer than its answer. */
  ask(): void {
    this.moved.clear();
  }

  /** Takes in what was open when the history was asked; if that is `all`, what is not among it has ended. */
  recall(open: readonly Incident[], all: boolean): void {
    const listed = new Map(open.map((incident) => [incident.id, incident]));
    for (const incident of this.incidents.values()) {
      if (all && isOpen(incident.state) && !this.moved.has(incident.id) && !listed.has(incident.id)) incident.state = "OK";
    }
    for (const [id, incident] of listed) if (!this.moved.has(id)) this.put(incident);
    this.complete = true;
  }

  private move(transition: Transition): void {
    const known = this.incidents.get(transition.incident);
    this.moved.add(transition.incident);
    if (known && transition.time < known.changed) return;
    const reopened = !known || !isOpen(known.state);
    const { reason } = transition;
    const ack = reason.startsWith("ack:");
    this.put({
      id: transition.incident,
      rule: transition.rule,
      key: transition.key,
      state: transition.to,
      // Without a level of its own, or "ok" while it is not over yet, it is as bad as it was.
      level: (isOpen(transition.to) && transition.level === "ok" ? "" : transition.level) || known?.level || "",
      value: transition.value ?? known?.value,
      message: (ack && known?.message) || transition.message || known?.message || "",
      since: reopened ? transition.time : known.since,
      changed: transition.time,
      acked: ack ? reason.slice(4) : reopened || reason === "escalated" ? "" : known.acked,
      certain: true,
    });
  }

  private put(incident: Incident): void {
    this.incidents.delete(incident.id);
    this.incidents.set(incident.id, incident);
    if (this.incidents.size > INCIDENTS) this.evict();
  }

  private evict(): void {
    for (const incident of this.incidents.values()) {
      if (!isOpen(incident.state)) {
        this.incidents.delete(incident.id);
        return;
      }
    }
    const oldest = this.incidents.keys().next().value;
    if (oldest !== undefined) this.incidents.delete(oldest);
  }
}
