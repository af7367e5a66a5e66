// Alerts as they happen: what is open on top, then every change, newest first.

import type { JSX } from "preact";
import type { AlertEvent, Incident } from "../state/alerts.ts";
import type { Store } from "../state/store.ts";
import { age, clock, moment, number } from "./format.ts";
import { Shape, tone } from "./level.tsx";
import { deviceLink } from "./route.ts";

export function Alerts({ store, now, opened }: { store: Store; now: number; opened: number }): JSX.Element {
  return (
    <section class="alerts" aria-labelledby="alerts-title">
      <header class="screen-head">
        <h1 id="alerts-title" tabIndex={-1}>
          Alerts
        </h1>
        <p class="aside">changes since {clock(opened)}, when this page opened</p>
      </header>
      <AlertList store={store} now={now} level={2} />
    </section>
  );
}

interface ListProps {
  store: Store;
  now: number;
  /** Of the headings. */
  level: 2 | 3;
  limit?: number;
  /** Only those of this key. */
  of?: string;
}

export function AlertList({ store, now, level, limit = Infinity, of }: ListProps): JSX.Element {
  const mine = (it: { key: string }): boolean => of === undefined || it.key === of;
  const open = store.alerts.open().filter(mine);
  const events = store.alerts.events.filter(mine);
  const Heading = `h${level}` as const;
  const keyed = (key: string): JSX.Element | null => (of === undefined ? <Key name={key} linked={store.device(key) !== undefined} /> : null);
  return (
    <div class="alert-lists">
      <Heading class="list-title">
        Open <span class="count">{open.length}</span>
      </Heading>
      {open.length === 0 && (
        <p class="calm">
          <Shape tone="over" /> {store.alerts.complete ? "Nothing is open." : "Nothing that this page knows of."}
        </p>
      )}
      <ul class="incidents">
        {open.slice(0, limit).map((incident) => (
          <IncidentCard key={incident.id} incident={incident} now={now} name={keyed(incident.key)} />
        ))}
      </ul>
      <Heading class="list-title">What happened</Heading>
      {events.length === 0 && <p class="calm">No alert has changed since this page opened.</p>}
      <ol class="events">
        {events.slice(0, limit).map((event) => (
          <EventRow key={event.number} event={event} now={now} name={keyed(event.key)} />
        ))}
      </ol>
    </div>
  );
}

function IncidentCard({ incident, now, name }: { incident: Incident; now: number; name: JSX.Element | null }): JSX.Element {
  const look = tone(incident.level, incident.state);
  return (
    <li class={`incident tone-${look}`}>
      <Shape tone={look} />
      <div class="incident-body">
        <p class="incident-head">
          <span class="level">{incident.level || "alert"}</span>
          <b>{incident.rule}</b>
          {name}
        </p>
        {incident.message && <p class="message">{incident.message}</p>}
        <p class="facts">
          <span class="state">{incident.state}</span>
          {incident.value !== undefined && <span>value {number(incident.value)}</span>}
          <span>
            since <time dateTime={iso(incident.since)}>{moment(incident.since, now)}</time> ({age(now - incident.since)})
          </span>
          {incident.acked && <span>acknowledged by {incident.acked}</span>}
          {!incident.certain && <span class="doubt">as of {clock(incident.changed)}: the line was down since</span>}
        </p>
      </div>
    </li>
  );
}

function EventRow({ event, now, name }: { event: AlertEvent; now: number; name: JSX.Element | null }): JSX.Element {
  const look = tone(event.level, event.to);
  return (
    <li class={`event tone-${look}`}>
      <Shape tone={look} />
      <div class="event-body">
        <p class="event-head">
          <span class="level">{event.level || "alert"}</span>
          <b>{event.rule}</b>
          {name}
        </p>
        <p class="facts">
          <span class="state">
            {event.from && event.from !== event.to && (
              <>
                {event.from} <span aria-hidden="true">→</span>
                <span class="unseen"> to </span>{" "}
              </>
            )}
            {event.to}
          </span>
          {event.value !== undefined && <span>value {number(event.value)}</span>}
          <time dateTime={iso(event.time)}>{moment(event.time, now)}</time>
        </p>
        {event.message && <p class="message">{event.message}</p>}
      </div>
    </li>
  );
}

function Key({ name, linked }: { name: string; linked: boolean }): JSX.Element {
  return linked ? (
    <a class="key" href={deviceLink(name)}>
      {name}
    </a>
  ) : (
    <span class="key">{name}</span>
  );
}

const iso = (time: number): string => new Date(time).toISOString();
