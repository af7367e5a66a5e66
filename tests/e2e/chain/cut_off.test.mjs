import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { test } from 'node:test';
import { CuttingProxy } from '../signalr/cutting_proxy.mjs';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { readJsonLines, until } from '../support/wait.mjs';

test('what waited at the broker for longer than `late` while the runner was cut off raises its alert, and nothing of it is dropped', async (t) => {
  const broker = await Broker.start(t);
  const proxy = await CuttingProxy.start(t, broker.port);
  const instance = await Instance.start(t, {
    'ticks.jsonl': '',
    'pipeline.yaml': `
name: outage
stages:
  - id: devkit
    plugin: mqtt_source
    broker: mqtt://127.0.0.1:${proxy.port}
    topics: [devices/+]
    device: devices/{device}
    client_id: outage
    time: {field: ts}
  - id: through
    plugin: lua
    code: |
      function process(record) return record end
  - id: ticks
    plugin: file_source
    path: ticks.jsonl
    follow: true
    device: {field: deviceId}
  - id: climate
    plugin: alert
    from: [through, ticks]
    time: {late: 2s}
    rules:
      hot:
        watch: {avg: temperature, within: 1s, every: 1s}
        above: 30
        severity: warning
        message: "{key}"
  - id: kept
    plugin: file_sink
    path: out.jsonl
`,
  });
  const alerts = (key) => readJsonLines(instance.path('out.jsonl')).filter((alert) => alert.key === key && alert.to === 'FIRING');
  const taken = () => instance.metric('millrace_stage_records_in_total', { stage: 'climate' });
  const devkit = new Publisher(t, broker, 'devices/a');
  await broker.subscribed();
  devkit.write([{ ts: Date.now(), temperature: 20 }]);
  await until('the first reading in the rules', async () => (await taken()) === 1);
  // Otherwise it would come again.
  await until('the broker to know', () => /Received PUBACK from outage/.test(broker.child.stderr));

  proxy.shut = true;
  proxy.cut();
  await until('the source to see that it is cut off', async () => (await fetch(`${instance.url}/readyz`)).status === 503);
  const cut = Date.now();
  devkit.write(Array.from({ length: 50 }, (_, i) => ({ ts: cut + i, temperature: 40 })));
  await devkit.acknowledgedAtLeast(51);
  // Nothing but the clock closes this one's window, so its alert tells that `late` is over for all that is not newer.
  appendFileSync(instance.path('ticks.jsonl'), JSON.stringify({ deviceId: 'tick', temperature: 40 }) + '\n');
  await until('the clock to have passed what waits at the broker', () => alerts('tick').length === 1);
  assert.equal(alerts('a').length, 0);
  devkit.write([{ ts: Date.now(), temperature: 20 }]);
  await devkit.finish();

  proxy.shut = false;
  const said = () => `millrace said:\n${instance.child.stderr}`;
  await until(
    () => `all that waited in the rules; ${said()}`,
    async () => (await taken()) >= 53,
  );
  await until(
    () => `its alert; ${said()}`,
    () => alerts('a').length > 0,
  );
  for (const reason of ['out_of_order', 'late'])
    assert.equal((await instance.metric('millrace_stage_dropped_total', { stage: 'climate', reason })) ?? 0, 0, reason);
  assert.ok(Math.abs(alerts('a')[0].time - cut) <= 1050, `${alerts('a')[0].time} is within a window of ${cut}`);
  await instance.down();
});
