// A reload or a stop while an outside is away: nothing waits for it longer than was declared, and nothing is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { freePort } from '../support/process.mjs';
import { readings } from '../support/telemetry.mjs';
import { readJsonLines, until } from '../support/wait.mjs';

const conditions = async (instance) => {
  const { stages } = await (await fetch(`${instance.url}/readyz`)).json();
  return Object.fromEntries(stages.map((s) => [s.stage, s.condition]));
};

test('a source that changes while its sink is away takes over at once, and everything arrives once the sink is there', async (t) => {
  const [broker, elsewhere] = [await Broker.start(t), await Broker.start(t)];
  await elsewhere.down();
  const pipeline = (limit) => `
name: handover
listen: 127.0.0.1:0
stages:
  - id: devkit
    plugin: mqtt_source
    broker: ${broker.url}
    topics: [devices/+/messages/events/#]
    device: {field: deviceId}
    inbox: {limit: ${limit}}
  - {id: away, plugin: mqtt_sink, broker: "${elsewhere.url}", topic: "out/{device}", qos: 1}
`;
  const instance = await Instance.prepare(t, { 'pipeline.yaml': pipeline('8MiB') });
  instance.launch();
  await broker.subscribed();
  const messages = readings({ count: 200, devices: 2 });
  const publisher = new Publisher(t, broker, 'devices/AZ3166/messages/events/');
  publisher.write(messages.slice(0, 100));
  await until('the messages on their way to the sink', async () => (await instance.metric('millrace_stage_records_out_total', { stage: 'devkit' })) === 100);

  instance.write('pipeline.yaml', pipeline('9MiB'));
  await instance.child.says(/handover: reloaded/);
  await until('the new source to be connected', async () => (await conditions(instance)).devkit === 'running');
  assert.equal((await conditions(instance)).away, 'connecting');
  publisher.write(messages.slice(100));
  await until('the later messages', async () => (await instance.metric('millrace_stage_records_out_total', { stage: 'devkit' })) === 200);

  await elsewhere.up();
  await until(
    () => `everything delivered; it said:\n${instance.child.stderr}`,
    async () => (await instance.metric('millrace_stage_records_out_total', { stage: 'away' })) === 200,
  );
  await publisher.finish();
  await instance.down();
});

test('a publisher without a reader holds up neither a reload nor a stop', async (t) => {
  const port = await freePort();
  const pipeline = (at, mark) => `
name: unread
listen: 127.0.0.1:0
stages:
  - {id: devkit, plugin: emulator, devices: 1, interval: 2ms, publish: "tcp://127.0.0.1:${at}"}
  - {id: kept, plugin: file_sink, path: ${mark}.jsonl, from: devkit, thread: own}
`;
  const other = await freePort();
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline(port, 'one') }, { args: ['--drain', '1s'] });
  await until('records', () => readJsonLines(instance.path('one.jsonl')).length > 5);
  instance.write('pipeline.yaml', pipeline(other, 'two'));
  await instance.child.says(/unread: reloaded/);
  await until('records of the new version', () => readJsonLines(instance.path('two.jsonl')).length > 5);
  assert.doesNotMatch(instance.child.stderr, /did not end in time/);
  await instance.down();
});

test('a stop says how long it waits and what for, and no longer than it was told', async (t) => {
  const broker = await Broker.start(t);
  await broker.down();
  const instance = await Instance.prepare(t, {
    'pipeline.yaml': `
name: stuck
listen: 127.0.0.1:0
stages:
  - {plugin: emulator, devices: 1, interval: 5ms}
  - {id: away, plugin: mqtt_sink, broker: "${broker.url}", topic: "out/{device}", connect_timeout: 1s}
`,
  }, { args: ['--drain', '300ms'] });
  instance.launch();
  await until('records that wait', async () => (await instance.metric('millrace_link_depth_records', { stage: 'away' })) > 20);
  await instance.down();
  assert.match(instance.child.stderr, /stopping; what is on its way has 0\.3 s/);
  assert.match(instance.child.stderr, /not everything could be delivered in time: stuck\/away \(\d+ records queued\)/);
});

test('a file that is broken at the start keeps the instance unready until it is mended; one broken later does not', async (t) => {
  const good = (name) => `name: ${name}\nlisten: 127.0.0.1:0\nstages:\n  - {plugin: emulator, interval: 5ms}\n  - {plugin: null_sink}\n`;
  const instance = await Instance.prepare(t, { 'pipeline.yaml': good('one'), 'second.yaml': 'name: second\nstages: []\nnonsense: 1\n' });
  instance.args = [instance.path('second.yaml')];
  instance.launch();
  const ready = async () => {
    const answer = await fetch(`${instance.url}/readyz`).catch(() => undefined);
    return answer && { ...(await answer.json()), code: answer.status };
  };
  await until('the first to run', async () => (await ready())?.stages.length === 2);
  const before = await ready();
  assert.equal(before.code, 503);
  assert.deepEqual(before.broken, [{ file: instance.path('second.yaml'), running: false }]);
  instance.write('second.yaml', good('second'));
  await until('both to be ready', async () => (await ready()).code === 200);
  instance.write('second.yaml', 'nonsense: 1\n');
  await until('the broken file to be named', async () => (await ready()).broken.length === 1);
  const after = await ready();
  assert.equal(after.code, 200);
  assert.deepEqual(after.broken, [{ file: instance.path('second.yaml'), running: true }]);
  await instance.down();
});
