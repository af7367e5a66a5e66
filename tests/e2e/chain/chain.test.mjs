// The main job on real parts: a broker, a publisher of its own, Lua, an alert, a phone's client, a push and the history.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubConnectionBuilder, LogLevel } from '@microsoft/signalr';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { DOUBLE, doubled, mqttSource } from '../support/stages.mjs';
import { ALERT_STAGE, notices, readings, sorted, transitions } from '../support/telemetry.mjs';
import { readJsonLines, until } from '../support/wait.mjs';
import { WebhookReceiver } from '../support/webhook.mjs';

const COUNT = 10_000;

test('10,000 messages reach the client and the file, and exactly the expected alerts reach client, webhook and history', async (t) => {
  const broker = await Broker.start(t);
  const webhook = await WebhookReceiver.start(t);
  const instance = await Instance.start(t, {
    'comfort.lua': DOUBLE,
    'pipeline.yaml': `
name: chain
stages:${mqttSource(broker, 'chain')}
  - id: comfort
    plugin: lua
    script: comfort.lua

  - id: kept
    plugin: file_sink
    path: out.jsonl
${ALERT_STAGE}
  - id: live
    plugin: signalr
    from: [comfort, climate]
    hub: /hubs/telemetry
    on_full: block
    client_queue: 16MiB

  - id: phone
    plugin: push
    from: climate
    to: ["${webhook.url}/hook"]
`,
  });
  await broker.subscribed();

  const live = { telemetry: [], alerts: [] };
  const connection = new HubConnectionBuilder().withUrl(`${instance.url}/hubs/telemetry`).configureLogging(LogLevel.None).build();
  connection.on('telemetry', (records) => live.telemetry.push(...records));
  connection.on('alert', (alert) => live.alerts.push(alert));
  await connection.start();
  t.after(() => connection.stop());

  const messages = readings({ count: COUNT, devices: 10 });
  const publisher = new Publisher(t, broker, 'devices/AZ3166/messages/events/');
  publisher.write(messages);
  await publisher.finish();
  await until(
    () => `${COUNT} records at the client, ${live.telemetry.length} came; millrace said:\n${instance.child.stderr}`,
    () => live.telemetry.length >= COUNT,
  );

  const expected = transitions(messages);
  await until(() => `${expected.length} alerts at the client, ${live.alerts.length} came`, () => live.alerts.length >= expected.length);
  await webhook.received(expected.length);
  await until('every message in the file', () => readJsonLines(instance.path('out.jsonl')).length >= COUNT);
  // All that is still on its way would be too much: a drained stop lets it out.
  await instance.down();

  const numbered = messages.map(doubled);
  assert.deepEqual(sorted(readJsonLines(instance.path('out.jsonl'))), sorted(numbered));
  assert.deepEqual(sorted(live.telemetry.map(({ fields }) => fields)), sorted(numbered));
  assert.ok(live.telemetry.every(({ device, fields }) => device === fields.deviceId));
  assert.deepEqual(sorted(live.alerts.map((a) => [a.key, a.rule, a.from, a.to, a.time])), expected);

  const rows = await instance.query('select key, rule, from_state, to_state, event_ms from alert_event order by seq');
  assert.deepEqual(sorted(rows.map((r) => [r.key, r.rule, r.from_state, r.to_state, r.event_ms])), expected);

  assert.deepEqual(sorted(webhook.bodies.map((b) => [b.key, b.rule, b.type, b.time])), notices(messages));
});
