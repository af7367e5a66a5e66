// The one connection to the hub. Keeps it up for as long as the page lives, whatever the reason it went down for, and tells
// the store what arrives and how the line is.

import {
  DefaultHttpClient,
  HttpError,
  HubConnectionBuilder,
  HubConnectionState,
  LogLevel,
  NullLogger,
} from "@microsoft/signalr";
import type { Store } from "../state/store.ts";
import { Renewal, tokenIn } from "./renewal.ts";
import { retryDelay } from "./retry.ts";

/** Milliseconds to wait for an answer before the next attempt: a network that swallows packets says nothing. */
const ANSWER = 10_000;

/** Milliseconds between two questions to the history. */
const RECALL = 30_000;

export interface Line {
  /** Tries at once instead of after the rest of the wait: the device woke up or has a network again. */
  hurry(): void;
}

/** The first attempt waits for `ready`. */
export function connect(address: string, store: Store, ready: Promise<void> = Promise.resolve()): Line {
  // The client keeps the token that negotiate hands out to itself: it is noted on its way.
  let token: string | undefined;
  const http = new DefaultHttpClient(NullLogger.instance);
  const send = http.send.bind(http);
  http.send = async (request) => {
    const response = await send(request);
    if (request.url?.includes("/negotiate")) token = tokenIn(response.content);
    return response;
  };
  const hub = new HubConnectionBuilder()
    .withUrl(address, { timeout: ANSWER, httpClient: http })
    .withAutomaticReconnect({
      nextRetryDelayInMilliseconds: ({ previousRetryCount }) => retryDelay(previousRetryCount, Math.random()),
    })
    .configureLogging(LogLevel.None)
    .build();

  const renewal = new Renewal({
    negotiate: async () => {
      await http.post(address.replace(/\?|$/, "/negotiate$&"), { timeout: ANSWER });
      return token;
    },
    renew: (fresh) => hub.invoke("Renew", fresh),
    after: (delay, task) => {
      const timer = window.setTimeout(task, delay);
      return () => clearTimeout(timer);
    },
  });
  // The hub tells of changes alone: what is open the history knows. Asked again now and then, as it knows of pipelines besides
  // that do not speak on this hub.
  let asked = 0;
  const recall = async (): Promise<void> => {
    const mine = ++asked;
    store.alerts.ask();
    try {
      const answer = await fetch("api/alerts?state=open&limit=200");
      const open: unknown = answer.ok && (await answer.json());
      if (mine === asked) store.hearHistory(open);
    } catch {
      // The next time, or after the next connection.
    }
  };
  let recalling: number | undefined;
  const live = (): void => {
    renewal.follow(token);
    store.setLink("live", Date.now());
    window.clearInterval(recalling);
    recalling = window.setInterval(recall, RECALL);
    void recall();
  };
  const lost = (error: unknown): void => {
    renewal.stop();
    window.clearInterval(recalling);
    asked++; // an answer that is still under way is of before
    store.setLink("lost", Date.now(), reasonOf(error));
  };

  hub.on("telemetry", (argument: unknown) => store.hearTelemetry(argument, Date.now()));
  hub.on("alert", (argument: unknown) => store.hearAlert(argument));
  hub.onreconnecting(lost);
  hub.onreconnected(live);
  // Also where a server's refusal ends, and hurry(): the client itself would not try again.
  hub.onclose((error) => {
    lost(error);
    void start();
  });

  let attempt = 0;
  let waiting: { timer: number; wake: () => void } | undefined;

  async function start(): Promise<void> {
    for (attempt = 0; ; attempt++) {
      try {
        await hub.start();
        live();
        return;
      } catch (error) {
        store.setLink(store.link.state === "connecting" ? "connecting" : "lost", Date.now(), reasonOf(error));
      }
      await pause(retryDelay(attempt, Math.random()));
    }
  }

  function pause(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(waiting?.timer);
        waiting = undefined;
        resolve();
      };
      waiting = { timer: window.setTimeout(wake, delay), wake };
    });
  }

  void ready.then(start);
  return {
    hurry(): void {
      if (waiting) waiting.wake();
      else if (hub.state === HubConnectionState.Reconnecting) void hub.stop();
    },
  };
}

function reasonOf(error: unknown): string {
  const status = error instanceof HttpError ? error.statusCode : /status code '?(\d{3})/i.exec(String(error))?.[1];
  return status === undefined ? "" : `the server answered ${status}`;
}
