// A test hub of its own for each test, and clients of it.
import { dirname, join } from 'node:path';
import { HttpTransportType, HubConnectionBuilder, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { MILLRACE } from '../support/millrace.mjs';
import { Child } from '../support/process.mjs';
import { until } from '../support/wait.mjs';

const TEST_HUB = process.env.TEST_HUB ?? join(dirname(MILLRACE), 'tests', 'test_hub');

/// The program test_hub; ended with test `t`. With `tls: {cert, key}` it is at `secure`, too.
export class TestHub {
  static async start(t, options = {}) {
    const hub = new TestHub();
    hub.child = new Child(t, TEST_HUB, [JSON.stringify(options)], { stdin: 'pipe' });
    const { port, secure_port } = await hub.#answer(1);
    hub.asked = 1;
    hub.address = `127.0.0.1:${port}`;
    hub.port = port;
    hub.secure = `https://127.0.0.1:${secure_port}`;
    hub.url = `http://${hub.address}/testhub`;
    return hub;
  }

  async #answer(number) {
    return until(
      () => `answer ${number} of the test hub; it said ${this.child.stdout}${this.child.stderr}`,
      () => {
        const lines = this.child.stdout.split('\n');
        return lines.length > number && JSON.parse(lines[number - 1]);
      },
      { everyMs: 2 },
    );
  }

  /// Sends one command; gives the hub's figures after it.
  async command(command) {
    this.child.process.stdin.write(`${JSON.stringify(command)}\n`);
    return this.#answer(++this.asked);
  }

  publish(...records) {
    return this.command({ publish: records });
  }

  figures() {
    return this.command({});
  }

  memoryMiB() {
    return this.child.memoryMiB();
  }
}

/// What the official client can be built from: each transport with each hub protocol that it carries.
const { WebSockets, ServerSentEvents, LongPolling } = HttpTransportType;
export const combinations = [
  { transport: WebSockets },
  { transport: WebSockets, messagepack: true },
  { transport: ServerSentEvents },
  { transport: LongPolling },
  { transport: LongPolling, messagepack: true },
];
export const nameOf = ({ transport, messagepack }) => `${messagepack ? 'messagepack' : 'json'} over ${HttpTransportType[transport]}`;

/// A connection that is not started; stopped with test `t`. It keeps what it gets in `records` and `alerts`.
export function client(t, hub, { reconnect = false, stateful = false, skipNegotiation = false, messagepack = false, keepAlive, serverTimeout, ...http } = {}) {
  const builder = new HubConnectionBuilder()
    .withUrl(hub.url, { transport: HttpTransportType.WebSockets, skipNegotiation, ...http })
    .configureLogging(LogLevel.None);
  if (stateful) builder.withStatefulReconnect(stateful === true ? undefined : stateful);
  if (messagepack) builder.withHubProtocol(new MessagePackHubProtocol());
  if (reconnect) builder.withAutomaticReconnect([0, 10, 10, 50, 100, 500, 1000]);
  const connection = builder.build();
  if (keepAlive) connection.keepAliveIntervalInMilliseconds = keepAlive;
  if (serverTimeout) connection.serverTimeoutInMilliseconds = serverTimeout;
  connection.records = [];
  connection.alerts = [];
  connection.on('telemetry', (list) => void connection.records.push(...list));
  connection.on('alert', (alert) => void connection.alerts.push(alert));
  t.after(() => connection.stop());
  return connection;
}

export async function started(t, hub, options) {
  const connection = client(t, hub, options);
  await connection.start();
  return connection;
}

/// The values that came from a device, in order.
export const valuesOf = (connection, device) => connection.records.filter((r) => r.device === device).map((r) => r.fields.value);

/// A promise and the functions that end it.
export function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}
