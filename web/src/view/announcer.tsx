// Reads alerts out to those who do not see the screen: what opens and what is over, critical ones at once. Telemetry is never
// read out.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type AlertEvent, gravity, isOpen } from "../state/alerts.ts";
import type { Store } from "../state/store.ts";
import { pulse } from "./pulse.ts";

const READ_IN_FULL = 3;

export interface Speech {
  polite: string;
  assertive: string;
}

/** What to say of these transitions; empty where there is nothing. */
export function speech(news: readonly AlertEvent[]): Speech {
  const worth = news.filter((event) => (isOpen(event.to) ? !isOpen(event.from) || event.reason === "escalated" : isOpen(event.from)));
  const urgent = worth.filter((event) => isOpen(event.to) && gravity(event.level) === 3);
  return { assertive: sentences(urgent), polite: sentences(worth.filter((event) => !urgent.includes(event))) };
}

function sentences(events: readonly AlertEvent[]): string {
  const said = events.slice(-READ_IN_FULL).map((event) => {
    if (!isOpen(event.to)) return `Over: ${event.rule}, ${event.key}.`;
    return `${event.level || "Alert"}: ${event.message || `${event.rule}, ${event.key}`}.`;
  });
  if (events.length > said.length) said.push(`And ${events.length - said.length} more.`);
  return said.join(" ");
}

export function Announcer({ store }: { store: Store }): JSX.Element {
  const [said, setSaid] = useState<Speech>({ polite: "", assertive: "" });
  useEffect(
    () =>
      pulse(store, () => {
        const news = store.takeNews();
        if (news.length === 0) return;
        const next = speech(news);
        setSaid((last) => ({ polite: next.polite || last.polite, assertive: next.assertive || last.assertive }));
      }),
    [store],
  );
  return (
    <div class="unseen">
      <div role="status">{said.polite}</div>
      <div role="alert">{said.assertive}</div>
    </div>
  );
}
