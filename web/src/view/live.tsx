// The first screen: every device, and from a wide window on the alerts beside them.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Incident } from "../state/alerts.ts";
import { isCut, type Store } from "../state/store.ts";
import { AlertList } from "./alerts.tsx";
import { Tile } from "./tile.tsx";

export function Live({ store, now }: { store: Store; now: number }): JSX.Element {
  const [wanted, setWanted] = useState("");
  const devices = store.all;
  const shown = useMemo(() => {
    const needle = wanted.trim().toLowerCase();
    return needle ? devices.filter((device) => device.name.toLowerCase().includes(needle)) : devices;
  }, [devices, wanted]);

  const worst = new Map<string, Incident>();
  for (const incident of store.alerts.open()) if (!worst.has(incident.key)) worst.set(incident.key, incident);

  return (
    <div class="live">
      <section class="live-devices" aria-labelledby="devices-title">
        <header class="screen-head">
          <h1 id="devices-title" tabIndex={-1}>
            Devices <span class="count">{devices.length}</span>
          </h1>
          <input
            type="search"
            class="search"
            placeholder="Find a device"
            aria-label="Find a device"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        </header>
        {store.unshown > 0 && (
          <p class="notice" role="note">
            Only the first {devices.length} devices are shown; {store.unshown} more send to this page.
          </p>
        )}
        {devices.length === 0 && <Waiting store={store} />}
        {devices.length > 0 && shown.length === 0 && <p class="empty">No device is called “{wanted}”.</p>}
        <ul class="tiles">
          {shown.map((device) => (
            <Tile
              key={device.id}
              device={device}
              incident={worst.get(device.id)}
              now={now}
              cut={isCut(store, now)}
            />
          ))}
        </ul>
      </section>
      <aside class="live-alerts" aria-labelledby="beside-title">
        <h2 id="beside-title">Alerts</h2>
        <AlertList store={store} now={now} level={3} limit={12} />
      </aside>
    </div>
  );
}

function Waiting({ store }: { store: Store }): JSX.Element {
  const { state, reason } = store.link;
  if (state !== "live") {
    return (
      <div class="empty">
        <p>Waiting for the server.</p>
        {reason.endsWith("401") && (
          <p>
            It asks for a token: open this page by a link that ends in #token= and what <code>millrace token</code> prints.
          </p>
        )}
        {reason.endsWith("404") && (
          <p>
            It has no hub here: the pipeline needs a <code>signalr</code> stage, or this address a <code>?hub=PATH</code>.
          </p>
        )}
      </div>
    );
  }
  return (
    <div class="empty">
      <p>Connected. No device has spoken since this page opened.</p>
      <p>A device appears here with its first message.</p>
    </div>
  );
}
