import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { readJsonLines, until } from '../support/wait.mjs';

test('a broker that comes back without its sessions is subscribed to again, and its messages arrive', async (t) => {
  const broker = await Broker.start(t, { persistence: false });
  const instance = await Instance.start(t, {
    'pipeline.yaml': `
name: restart
stages:
  - id: devkit
    plugin: mqtt_source
    broker: ${broker.url}
    topics: [devices/#]
    qos: 1
    client_id: restart
    clean_session: false
    device: {field: deviceId}
  - id: kept
    plugin: file_sink
    path: out.jsonl
`,
  });
  const kept = () => readJsonLines(instance.path('out.jsonl')).map(({ messageId }) => messageId);

  for (let run = 0; run < 3; ++run) {
    await broker.subscribed();
    const publisher = new Publisher(t, broker, 'devices/a');
    publisher.write(Array.from({ length: 50 }, (_, i) => ({ deviceId: 'a', messageId: run * 50 + i })));
    await publisher.finish();
    await until(
      () => `the messages of run ${run}; there are ${kept().length}; millrace said:\n${instance.child.stderr}`,
      () => kept().length >= (run + 1) * 50,
    );
    await broker.down();
    await broker.up();
  }

  await instance.down();
  assert.deepEqual(kept(), Array.from({ length: 150 }, (_, i) => i));
});
