// The frame round the screens: how the line is, where one can go, and the voice for those who do not see.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { gravity } from "../state/alerts.ts";
import type { Store } from "../state/store.ts";
import { Alerts } from "./alerts.tsx";
import { Announcer } from "./announcer.tsx";
import { banner } from "./banner-text.ts";
import { DeviceScreen } from "./device.tsx";
import { Live } from "./live.tsx";
import { usePulse } from "./pulse.ts";
import { type Route, useRoute } from "./route.ts";

export function App({ store, opened }: { store: Store; opened: number }): JSX.Element {
  usePulse(store);
  const route = useRoute();
  const now = Date.now();
  const main = useRef<HTMLElement>(null);
  const place = route.screen === "device" ? `device ${route.id}` : route.screen;
  const arrived = useRef(place);

  // A new screen starts at its top, and a screen reader with its title.
  useEffect(() => {
    document.title = titleOf(route);
    if (arrived.current === place) return;
    arrived.current = place;
    window.scrollTo(0, 0);
    main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [place]);

  return (
    <>
      <Line store={store} now={now} />
      <Navigation store={store} route={route} />
      <main ref={main}>
        {route.screen === "live" && <Live store={store} now={now} />}
        {route.screen === "alerts" && <Alerts store={store} now={now} opened={opened} />}
        {route.screen === "device" && <DeviceScreen key={route.id} store={store} id={route.id} now={now} />}
      </main>
      <Announcer store={store} />
    </>
  );
}

/** A page of this very machine needs no network. */
const local = /^(localhost|127\..*|\[::1\])$/.test(location.hostname);

function titleOf(route: Route): string {
  if (route.screen === "alerts") return "Alerts · Millrace";
  return route.screen === "device" ? `${route.id} · Millrace` : "Millrace";
}

function Line({ store, now }: { store: Store; now: number }): JSX.Element {
  const { condition, word, values, reason } = banner(store.link, store.lastTelemetry, navigator.onLine || local, now);
  return (
    <header class={`line ${condition}`} data-condition={condition}>
      <span class="brand">
        <img src="icons/icon.svg" alt="" width="24" height="24" />
        <span class="brand-name">Millrace</span>
      </span>
      <p class="condition">
        <span class="detail">
          {values}
          {reason && <span class="reason">; {reason}</span>}
        </span>
        <span class="word">
          <span class="dot" aria-hidden="true" />
          {word}
        </span>
      </p>
      {/* Without the seconds, which nobody wants to hear counted. */}
      <span class="unseen" role="status">
        {condition}
      </span>
    </header>
  );
}

function Navigation({ store, route }: { store: Store; route: Route }): JSX.Element {
  const open = store.alerts.open();
  const worst = open[0];
  const here = (screen: "live" | "alerts"): "page" | undefined => {
    const current = route.screen === "device" ? "live" : route.screen;
    return current === screen ? "page" : undefined;
  };
  return (
    <nav class="tabs" aria-label="Screens">
      <a href="#/" aria-current={here("live")}>
        <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
          <path d="M3 13h4l2.5-7 5 13 2.5-6h4" />
        </svg>
        Live
      </a>
      <a href="#/alerts" aria-current={here("alerts")}>
        <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
          <path d="M6 17V11a6 6 0 0 1 12 0v6l1.5 2h-15zM10 21.5h4" />
        </svg>
        Alerts
        {worst && (
          <span class={`badge ${gravity(worst.level) === 3 ? "grave" : ""}`}>
            {open.length}
            <span class="unseen"> open</span>
          </span>
        )}
      </a>
    </nav>
  );
}
