// A link between two processes: either side may be killed, and nothing that the publisher of the messages saw acknowledged is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { DOUBLE_CODE, doubled, mqttSource, sizeOf } from '../support/stages.mjs';
import { temporaryFolder } from '../support/process.mjs';
import { readings } from '../support/telemetry.mjs';
import { random, readJsonLines, until } from '../support/wait.mjs';

const COUNT = 10_000;
const KILLS = 10;
const SEED = Number(process.env.SEED ?? 20261121);

async function twoProcesses(t, broker, address) {
  const sender = await Instance.prepare(t, {
    'pipeline.yaml': `
name: sender
stages:${mqttSource(broker, 'sender', `publish: ${address}`)}  - plugin: null_sink
`,
  });
  const reader = await Instance.prepare(t, {
    'pipeline.yaml': `
name: reader
stages:
  - id: double
    plugin: lua
    from: ${address}
    ${DOUBLE_CODE}
  - id: kept
    plugin: file_sink
    path: out.jsonl
`,
  });
  return { sender, reader, kept: reader.path('out.jsonl') };
}

for (const [name, addressOf] of [
  ['ipc', async (t) => `ipc://${temporaryFolder(t)}/link`],
  ['tcp', async () => `tcp://127.0.0.1:${await (await import('../support/process.mjs')).freePort()}`],
]) {
  test(`over ${name}, ${KILLS} kills of either side lose nothing (SEED=${SEED})`, async (t) => {
    const next = random(SEED);
    const broker = await Broker.start(t);
    const { sender, reader, kept } = await twoProcesses(t, broker, await addressOf(t));
    const size = () => sizeOf(kept);
    sender.launch();
    reader.launch();
    await broker.subscribed();

    const messages = readings({ count: COUNT, devices: 10 });
    const publisher = new Publisher(t, broker, 'devices/AZ3166/messages/events/');
    const perRound = COUNT / KILLS;
    for (let round = 0; round < KILLS; ++round) {
      const before = size();
      publisher.write(messages.slice(round * perRound, (round + 1) * perRound));
      const grown = 1 + next() * perRound * 60;
      await until(
        () => `the file to grow by ${grown} bytes; sender:\n${sender.child.stderr}\nreader:\n${reader.child.stderr}`,
        () => size() > before + grown,
        { everyMs: 1 },
      );
      const victim = next() < 0.5 ? sender : reader;
      await victim.child.kill('SIGKILL');
      victim.launch();
    }
    await publisher.finish();
    assert.equal(publisher.acknowledgedIds.size, COUNT);

    const wanted = new Map(messages.map((m) => [`${m.deviceId}/${m.messageId}`, m]));
    const there = () => new Map(readJsonLines(kept).map((r) => [`${r.deviceId}/${r.messageId}`, r]));
    await until(
      () => `all messages in the file; ${there().size} of ${COUNT} are; sender:\n${sender.child.stderr}\nreader:\n${reader.child.stderr}`,
      () => there().size >= COUNT,
      { everyMs: 200 },
    );
    const rows = there();
    for (const [id, message] of wanted) assert.deepEqual(rows.get(id), doubled(message));
    await reader.down();
    await sender.down();
  });
}

test('a reader that comes first waits, and a second reader is refused', async (t) => {
  const broker = await Broker.start(t);
  const { sender, reader, kept } = await twoProcesses(t, broker, `ipc://${temporaryFolder(t)}/link`);
  reader.launch();
  sender.launch();
  await broker.subscribed();
  const publisher = new Publisher(t, broker, 'devices/AZ3166/messages/events/');
  publisher.write(readings({ count: 10, devices: 1 }));
  await until('ten records', () => readJsonLines(kept).length === 10);

  const text = (await import('node:fs')).readFileSync(reader.path('pipeline.yaml'), 'utf8').replace('name: reader', 'name: other');
  const other = await Instance.prepare(t, { 'pipeline.yaml': text });
  other.launch();
  await other.child.says(/'reader\/double\.from\.1' reads here already/);
  publisher.write(readings({ count: 20, devices: 1 }).slice(10));
  await until('ten more records', () => readJsonLines(kept).length === 20);
  assert.equal(readJsonLines(other.path('out.jsonl')).length, 0);
  await publisher.finish();
});
