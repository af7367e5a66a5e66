// A running instance whose hub a test feeds record by record, and clients of it.
import { appendFileSync } from 'node:fs';
import { HubConnectionBuilder, LogLevel } from '@microsoft/signalr';
import { Instance, millrace } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';

/// An instance with a followed file as its source, on the stages given as YAML.
export class Live extends Instance {
  static async start(t, stages, { listen = '', files = {}, ...options } = {}) {
    const pipeline = `
name: live
${listen ? `listen: ${listen}\n` : ''}
stages:
  - id: input
    plugin: file_source
    path: input.jsonl
    follow: true
    device: {field: device}
    time: {field: at}
${stages}`;
    const instance = await Instance.prepare(t, { 'pipeline.yaml': pipeline, 'input.jsonl': '', ...files }, options);
    Object.setPrototypeOf(instance, Live.prototype);
    await instance.up();
    await until('the hub', async () => (await fetch(`${instance.url}/hubs/telemetry`)).status !== 404);
    return instance;
  }

  /// Each record has `device`, and whatever fields.
  feed(...records) {
    appendFileSync(this.path('input.jsonl'), records.map((record) => `${JSON.stringify({ at: 1000, ...record })}\n`).join(''));
  }

  async token(...args) {
    const { code, stdout, stderr } = await millrace(this.t, ['token', '--data', this.data, ...args]);
    if (code !== 0) throw new Error(stderr);
    return stdout.trim();
  }

  /// Not started. It keeps what it gets in `records`, and the calls of all `targets` in `calls`.
  client({ token, hub = '/hubs/telemetry', targets = [], reconnect, transport, skipNegotiation, headers, stateful } = {}) {
    const builder = new HubConnectionBuilder()
      .withUrl(`${this.url}${hub}`, {
        transport,
        skipNegotiation,
        headers,
        ...(token && { accessTokenFactory: typeof token === 'function' ? token : () => token }),
      })
      .configureLogging(LogLevel.None);
    if (stateful) builder.withStatefulReconnect();
    if (reconnect) builder.withAutomaticReconnect([0, 10, 50, 100, 500, 1000]);
    const connection = builder.build();
    connection.records = [];
    connection.calls = [];
    connection.on('telemetry', (records) => void connection.records.push(...records));
    for (const target of targets) connection.on(target, (...args) => void connection.calls.push([target, ...args]));
    this.t.after(() => connection.stop());
    return connection;
  }

  async started(options) {
    const connection = this.client(options);
    await connection.start();
    return connection;
  }
}

/// All items of a stream.
export function items(stream) {
  return new Promise((resolve, reject) => {
    const all = [];
    stream.subscribe({ next: (item) => all.push(item), complete: () => resolve(all), error: reject });
  });
}

export const devices = (connection) => connection.records.map((record) => record.device);

export const got = (connection, count) => until(`${count} records`, () => connection.records.length >= count);
