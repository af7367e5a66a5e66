// A link that overflows to disk: bounded in memory, settled for its source, and still there after a kill and after a stop.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { Child } from '../support/process.mjs';
import { DOUBLE_CODE } from '../support/stages.mjs';
import { readings } from '../support/telemetry.mjs';
import { readJsonLines, until } from '../support/wait.mjs';

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

for (const [how, between] of [
  ['while it runs', false],
  ['between two runs', true],
]) {
  test(`what waits on disk reaches its sink though a stage was put before it ${how}`, async (t) => {
    const [broker, elsewhere] = [await Broker.start(t), await Broker.start(t)];
    await elsewhere.down();
    const pipeline = (more = '') => `
name: changed
listen: 127.0.0.1:0
stages:
  - {id: devkit, plugin: mqtt_source, broker: "${broker.url}", topics: [devices/+/messages/events/#]}
${more}
  - {id: away, plugin: mqtt_sink, broker: "${elsewhere.url}", topic: out, on_full: spool, queue: {records: 20}}
`;
    const instance = await Instance.prepare(t, { 'pipeline.yaml': pipeline() }, { args: ['--drain', '200ms'] });
    instance.launch();
    await broker.subscribed();
    const messages = readings({ count: 400, devices: 1 });
    const publisher = new Publisher(t, broker, 'devices/AZ3166/messages/events/');
    const spooled = async (wanted) =>
      until(
        () => `the spool to be as wanted; it said:\n${instance.child.stderr}`,
        async () => wanted(await instance.metric('millrace_stage_spooled_batches', { stage: 'away' }), await instance.metric('millrace_stage_spooled_bytes', { stage: 'away' })),
      );
    publisher.write(messages.slice(0, 200));
    await spooled((batches, bytes) => batches > 0 && bytes > 0);
    await publisher.acknowledgedAtLeast(200);
    const changed = pipeline(`  - id: double\n    plugin: lua\n    ${DOUBLE_CODE}`);
    if (between) {
      await instance.child.kill('SIGKILL');
      instance.write('pipeline.yaml', changed);
      instance.launch();
      await broker.subscribed(2);
    } else {
      instance.write('pipeline.yaml', changed);
      await instance.child.says(/changed: reloaded/);
    }
    publisher.write(messages.slice(200));
    await publisher.finish();

    await elsewhere.up();
    const reader = new Child(t, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(elsewhere.port), '-t', 'out', '-q', '1']);
    await elsewhere.subscribed();
    const ids = () => new Set(reader.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).messageId));
    await until(() => `all of it; ${ids().size} came, millrace said:\n${instance.child.stderr}`, () => ids().size === 400);
    await spooled((batches) => batches === 0);
    await instance.down();
  });
}

test('messages that wait for a stage that has another name now are told of at the start', async (t) => {
  const [broker, elsewhere] = [await Broker.start(t), await Broker.start(t)];
  await elsewhere.down();
  const pipeline = (source, sink) => `
name: renamed
listen: 127.0.0.1:0
stages:
  - {id: ${source}, plugin: mqtt_source, client_id: renamed, broker: "${broker.url}", topics: [devices/+/messages/events/#]}
  - {id: ${sink}, plugin: mqtt_sink, client_id: renamed_out, broker: "${elsewhere.url}", topic: out}
  - {id: kept, plugin: file_sink, path: out.jsonl, from: ${source}}
`;
  const instance = await Instance.prepare(t, { 'pipeline.yaml': pipeline('devkit', 'away') });
  instance.launch();
  await broker.subscribed();
  const publisher = new Publisher(t, broker, 'devices/AZ3166/messages/events/');
  publisher.write(readings({ count: 30, devices: 1 }));
  await publisher.finish();
  await until('all to be received', () => readJsonLines(instance.path('out.jsonl')).length === 30);
  await instance.child.kill('SIGKILL');
  instance.write('pipeline.yaml', pipeline('porch', 'away'));
  instance.launch();
  await instance.child.says(/inbox\/renamed\.devkit: 30 messages wait for a stage that is gone or has another name/);
  await instance.child.kill('SIGKILL');

  instance.write('pipeline.yaml', pipeline('devkit', 'away'));
  await elsewhere.up();
  instance.launch();
  await until('all to be delivered', async () => (await instance.metric('millrace_stage_records_out_total', { stage: 'away' })) === 30);
  assert.doesNotMatch(instance.child.stderr, /wait for a stage that is gone/);
  await instance.down();
});
