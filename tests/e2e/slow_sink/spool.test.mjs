// A link that overflows to disk: bounded in memory, settled for its source, and still there after a kill and after a stop.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { Child } from '../support/process.mjs';
import { readings } from '../support/telemetry.mjs';
import { until } from '../support/wait.mjs';

const COUNT = 2_000;

for (const [how, end] of [
  ['a kill', (instance) => instance.child.kill('SIGKILL')],
  ['a stop', (instance) => instance.down()],
]) {
  test(`what waits for a sink that is away outlives ${how}, and all of it arrives`, async (t) => {
    const [broker, elsewhere] = [await Broker.start(t), await Broker.start(t)];
    await elsewhere.down();
    const instance = await Instance.prepare(t, {
      'pipeline.yaml': `
name: patient
listen: 127.0.0.1:0
stages:
  - id: devkit
    plugin: mqtt_source
    broker: ${broker.url}
    topics: [devices/+/messages/events/#]
    qos: 1
  - id: away
    plugin: mqtt_sink
    broker: ${elsewhere.url}
    topic: out
    qos: 1
    on_full: spool
    queue: {records: 50}
    spool: {limit: 32MiB}
`,
    }, { args: ['--drain', '200ms'] });
    instance.launch();
    await broker.subscribed();
    const publisher = new Publisher(t, broker, 'devices/AZ3166/messages/events/', { qos: 1 });
    publisher.write(readings({ count: COUNT, devices: 1 }));
    await publisher.finish();
    await until('all to be received', async () => (await instance.metric('millrace_stage_records_out_total', { stage: 'devkit' })) === COUNT);
    const memory = await instance.metric('millrace_link_depth_records', { stage: 'away' });
    const spooled = await instance.metric('millrace_stage_spooled_batches', { stage: 'away' });
    assert.ok(memory <= 50, `${memory} records in memory`);
    assert.ok(spooled > 0, 'something is on disk');
    await end(instance);

    await elsewhere.up();
    const reader = new Child(t, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(elsewhere.port), '-t', 'out', '-q', '1']);
    await elsewhere.subscribed();
    instance.launch();
    const ids = () => reader.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).messageId);
    await until(
      () => `all of it; ${new Set(ids()).size} came, millrace said:\n${instance.child.stderr}`,
      async () => new Set(ids()).size === COUNT && (await instance.metric('millrace_stage_spooled_batches', { stage: 'away' })) === 0,
    );
    if (how === 'a stop') assert.equal(ids().length, COUNT, 'none twice');
    // What is on disk comes in its order. Behind it come the batches that were already on their way to the reader, also in theirs.
    const first = [...new Set(ids())];
    const falls = first.filter((id, i) => i > 0 && id < first[i - 1]).length;
    assert.ok(falls <= 1, `the order breaks ${falls} times: ${first}`);
    await instance.down();
  });
}
