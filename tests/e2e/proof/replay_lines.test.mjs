// Lines of a recording that are wrong: `replay` names the line and the member, and takes nothing for empty.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MILLRACE, SANITIZED, millrace } from '../support/millrace.mjs';
import { Child, temporaryFolder } from '../support/process.mjs';

const PIPELINE = `name: proof
stages:
  - {id: in, plugin: emulator}
  - {id: climate, plugin: alert, rules: {hot: {watch: {value: t}, above: 30}}}
  - {plugin: null_sink}
`;

const BAD = [
  ['{"ack": 7, "at": 2000, "by": "ann"}', /'ack': expected a text, got 7/],
  ['{"ack": {"kee": "a"}, "at": 2000}', /'kee': unknown here; did you mean 'key'/],
  ['{"ack": "a", "by": "ann"}', /'at': missing/],
  ['{"ack": "a", "at": 2000, "rule": ["hot"]}', /'rule': expected a text/],
  ['{"device": 7, "time": 2000, "fields": {"t": 1}}', /'device': expected a text, got 7/],
  ['{"device": "a", "time": "two", "fields": {"t": 1}}', /'time': expected milliseconds/],
  ['{"silence": {"form": 2000, "to": 3000}}', /'form': unknown here; did you mean 'from'/],
  ['{"restart": {"down": 2000}}', /'up': missing/],
  ['{"device": "a"}', /'at': missing/],
  ['{"device": "a", "time": 2000, "fields": {"t": 1}, "arival": 3000}', /'arival': unknown here; readings stand under 'fields'; did you mean 'arrival'/],
  ['{"device": "a", "time": 2000, "fields": {"t": 1}, "t": 2}', /'t': unknown here/],
  ['{"tick": 2000, "device_": "a"}', /'device_': unknown here/],
  ['[]', /expected one object/],
  ['{"device": ', /./],
];

test('a wrong line ends the replay with its place', async (t) => {
  const folder = temporaryFolder(t);
  const pipeline = join(folder, 'proof.yaml'), input = join(folder, 'input.jsonl');
  writeFileSync(pipeline, PIPELINE);
  for (const [line, words] of BAD) {
    writeFileSync(input, `{"device": "a", "time": 1000, "fields": {"t": 31}}\n\n${line}\n`);
    const { code, stderr, stdout } = await millrace(t, ['replay', pipeline, '--input', input]);
    assert.equal(code, 1, line);
    assert.match(stderr, new RegExp(`input\\.jsonl:3: .*${words.source}`));
    assert.match(stdout, /"kind":"alert"/);
  }
});

test('a line as a client of the hub receives it is taken as it is', async (t) => {
  const folder = temporaryFolder(t);
  const pipeline = join(folder, 'proof.yaml'), input = join(folder, 'input.jsonl');
  writeFileSync(pipeline, PIPELINE);
  writeFileSync(input, '{"target": "telemetry", "device": "a", "time": 1000.5, "fields": {"t": 31}, "seq": 4, "epoch": "x"}\n');
  const { code, stderr, stdout } = await millrace(t, ['replay', pipeline, '--input', input]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /"kind":"alert"/);
});

test('a line without an end is refused where it becomes too long, and a pipe is read like a file', async (t) => {
  const folder = temporaryFolder(t);
  const pipeline = join(folder, 'proof.yaml');
  writeFileSync(pipeline, PIPELINE);
  const endless = await millrace(t, ['replay', pipeline, '--input', '/dev/zero'], { addressSpaceKiB: SANITIZED ? undefined : 1 << 20 });
  assert.equal(endless.code, 1);
  assert.match(endless.stderr, /\/dev\/zero:1: a line of more than 64 MiB/);

  const long = JSON.stringify({ device: 'a', time: 1000, fields: { t: 31, note: 'x'.repeat(100_000) } });
  writeFileSync(join(folder, 'input.jsonl'), `\n${long}\n${JSON.stringify({ device: 'b', time: 2000, fields: { t: 32 } })}`);
  const piped = new Child(t, 'bash', ['-c', 'cat "$2" | "$0" replay "$1" --input /dev/stdin', MILLRACE, pipeline, join(folder, 'input.jsonl')]);
  const { code, stderr, stdout } = await piped.end();
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.match(/"key":"[ab]"/g), ['"key":"a"', '"key":"b"']);
});
