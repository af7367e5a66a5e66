// SIGKILL between the two halves of what an alert is made of: it is raised, once, whether the first half was saved by then or only in
// the inbox, and no window that spans the kill is told to be partial.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { readJsonLines, until } from '../support/wait.mjs';
import { WebhookReceiver } from '../support/webhook.mjs';

/// A multiple of the tumbling windows' size.
const START = Math.floor(Date.now() / 20_000) * 20_000 - 600_000;

const pipeline = (broker, webhook) => `
name: straddle
stages:
  - id: devkit
    plugin: mqtt_source
    broker: ${broker.url}
    topics: [straddle]
    device: {field: device}
    time: {field: ts}
    qos: 1
    client_id: straddle
    clean_session: false
    catch_up: 0s

  - id: climate
    plugin: alert
    time: {field: ts, late: 1h}
    rules:
      jump:
        watch: {rise: humidity, within: 30s}
        above: 10
        clear: {below: 5}
        severity: warning
      wide:
        watch: {range: humidity, within: 20s, every: 20s}
        above: 10
        severity: warning
      long:
        watch: {min: humidity, session: {timeout: 15s, max_duration: 5m}}
        below: 55
        severity: warning
      windows:
        watch: {range: humidity, within: 20s, every: 20s, also: [min, max]}

  - id: kept
    plugin: file_sink
    from: climate
    path: out.jsonl
    envelope: true

  - id: phone
    plugin: push
    from: climate
    to: ["${webhook.url}/hook"]
`;

/// How far the first reading has come when the process is killed.
const MOMENTS = {
  'as soon as it is received': (instance) =>
    until('the reading to arrive', async () => (await instance.metric('millrace_stage_records_in_total', { stage: 'climate' })) === 1, {
      everyMs: 1,
    }),
  'once it is saved': (instance) =>
    until('the windows to be saved', async () => {
      const rows = await instance.query("select count(*) as n from stage_snapshot where name = 'key/a'");
      return rows[0].n === 1;
    }),
};

for (const [moment, reached] of Object.entries(MOMENTS)) {
  test(`an alert whose evidence is on both sides of a kill, ${moment}, is raised once`, async (t) => {
    const broker = await Broker.start(t);
    const webhook = await WebhookReceiver.start(t);
    const instance = await Instance.start(t, { 'pipeline.yaml': pipeline(broker, webhook) });
    const publisher = new Publisher(t, broker, 'straddle');
    const read = (second, humidity) => publisher.write([{ device: 'a', humidity, ts: START + second * 1000 }]);
    read(2, 50);
    await reached(instance);
    await instance.child.kill('SIGKILL');
    await instance.up();
    for (const [second, humidity] of [[12, 62], [25, 62], [50, 62]]) read(second, humidity);
    await publisher.finish();

    const events = () =>
      instance.query(`select incident_id, from_state, to_state, event_ms - ${START} as at, value from alert_event order by event_ms, rule`);
    const expected = [
      { incident_id: 'straddle/climate/jump/a#1', from_state: 'OK', to_state: 'FIRING', at: 12_000, value: 12 },
      { incident_id: 'straddle/climate/wide/a#1', from_state: 'OK', to_state: 'FIRING', at: 20_000, value: 12 },
      { incident_id: 'straddle/climate/long/a#1', from_state: 'OK', to_state: 'FIRING', at: 40_000, value: 50 },
      { incident_id: 'straddle/climate/wide/a#1', from_state: 'FIRING', to_state: 'OK', at: 40_000, value: 0 },
      { incident_id: 'straddle/climate/jump/a#1', from_state: 'FIRING', to_state: 'OK', at: 50_000, value: 0 },
    ];
    await until('every event', async () => (await events()).length >= expected.length);
    await webhook.received(5);
    await instance.down();
    assert.deepEqual(await events(), expected);
    assert.deepEqual(webhook.bodies.map((body) => `${body.incident} ${body.type}`).sort(), [
      'straddle/climate/jump/a#1 firing',
      'straddle/climate/jump/a#1 resolved',
      'straddle/climate/long/a#1 firing',
      'straddle/climate/wide/a#1 firing',
      'straddle/climate/wide/a#1 resolved',
    ]);
    const windows = readJsonLines(instance.path('out.jsonl')).filter(({ kind }) => kind === 'window');
    assert.deepEqual(
      windows.map(({ fields }) => [fields.start - START, fields.min, fields.max, 'partial' in fields]),
      [
        [0, 50, 62, false],
        [20_000, 62, 62, false],
      ],
    );
  });
}
