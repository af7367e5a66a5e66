// Payloads that devices should not send: each is counted, kept as a dead letter with its reason, and never stops the rest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker, publish } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { readJsonLines, until } from '../support/wait.mjs';

// [what, payload, words of the reason]
const BAD = [
  ['malformed', '{"deviceId":"a","n":', /the text ends where a value should follow/],
  ['not an object', '42', /where an object or a list of objects should follow/],
  ['two objects', '{"n":1} {"n":2}', /after the end of the document/],
  ['100,000 levels deep', '{"n":' + '['.repeat(100_000) + ']'.repeat(100_000) + '}', /nested deeper than 32 levels/],
  ['100,000 levels deep and open', '{"n":' + '['.repeat(100_000), /nested deeper than 32 levels/],
  ['invalid UTF-8', Buffer.concat([Buffer.from('{"n":"'), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from('"}')]), /invalid UTF-8/],
  ['a lone surrogate', '{"n":"\\ud800"}', /holds an escape/],
  ['an integer beyond 64 bits', '{"n":123456789012345678901234567890}', /this integer is beyond 64 bits/],
  ['a number beyond range', '{"n":1e999}', /this number is beyond the range of a double/],
  ['NaN', '{"n":NaN}', /'N' where a value should follow/],
  ['binary', Buffer.from([0, 1, 2, 3, 255, 254]), /invalid UTF-8/],
];

test('bad payloads become dead letters, and the good ones between them arrive', async (t) => {
  const broker = await Broker.start(t);
  const instance = await Instance.start(t, {
    'pipeline.yaml': `
name: payloads
stages:
  - id: devkit
    plugin: mqtt_source
    broker: ${broker.url}
    topics: [devices/#]
    qos: 1
    client_id: payloads
    device: {field: deviceId}
  - id: kept
    plugin: file_sink
    path: out.jsonl
`,
  });
  await broker.subscribed();

  for (const [i, [, payload]] of BAD.entries()) {
    await publish(t, broker, 'devices/a', payload);
    await publish(t, broker, 'devices/a', JSON.stringify({ deviceId: 'a', good: i }));
  }
  await until(
    () => `the good ones; millrace said:\n${instance.child.stderr}`,
    () => readJsonLines(instance.path('out.jsonl')).length >= BAD.length,
  );
  await until('the dead letters', async () => (await instance.query('select * from dead_letter')).length >= BAD.length);
  await instance.down();

  assert.deepEqual(readJsonLines(instance.path('out.jsonl')).map(({ good }) => good), BAD.map((_, i) => i));
  const letters = await instance.query('select stage, error from dead_letter order by id');
  assert.equal(letters.length, BAD.length);
  for (const [i, { stage, error }] of letters.entries()) {
    assert.equal(stage, 'devkit');
    assert.match(error, BAD[i][2], BAD[i][0]);
    assert.ok(error.length < 1000, error);
  }
});
