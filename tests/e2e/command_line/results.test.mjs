// What the commands that only print do print, and what `emulate` publishes.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { Broker } from '../support/broker.mjs';
import { MILLRACE, ROOT, millrace } from '../support/millrace.mjs';
import { Child, temporaryFolder } from '../support/process.mjs';
import { until } from '../support/wait.mjs';

async function printed(t, ...args) {
  const { code, stdout, stderr } = await millrace(t, args, { cwd: join(ROOT, 'pipelines') });
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  return stdout;
}

test('graph draws stages and links as Mermaid and as DOT', async (t) => {
  const mermaid = `flowchart LR
  s0(["devkit<br/>emulator"])
  s1["comfort<br/>lua"]
  s2["climate<br/>alert"]
  s3(["live<br/>signalr"])
  s0 --> s1
  s1 --> s2
  s1 --> s3
  s2 --> s3
`;
  assert.equal(await printed(t, 'graph', 'devkit-emulator.yaml'), mermaid);
  assert.equal(await printed(t, 'graph', 'devkit-emulator.yaml', '--format', 'mermaid'), mermaid);
  assert.equal(
    await printed(t, 'graph', 'devkit-emulator.yaml', '--format', 'dot'),
    String.raw`digraph "devkit-emulator" {
  rankdir=LR;
  s0 [label="devkit\nemulator", shape=ellipse];
  s1 [label="comfort\nlua", shape=box];
  s2 [label="climate\nalert", shape=box];
  s3 [label="live\nsignalr", shape=ellipse];
  s0 -> s1;
  s1 -> s2;
  s1 -> s3;
  s2 -> s3;
}
`,
  );
});

test('plugins lists them all, and one with its options, for people and for programs', async (t) => {
  const names = ['alert', 'console', 'emulator', 'file_sink', 'file_source', 'lua', 'mqtt_sink', 'mqtt_source', 'null_sink', 'push', 'signalr'];
  const list = await printed(t, 'plugins');
  for (const name of names) assert.match(list, new RegExp(`^${name} +(source|transform|sink) +\\S.*\\.$`, 'm'));
  const all = JSON.parse(await printed(t, 'plugins', '--format', 'json'));
  for (const name of names) assert.ok(all.some((plugin) => plugin.name === name && plugin.summary.length > 10), name);

  assert.match(await printed(t, 'plugins', 'emulator'), /^emulator \(source\)\n[\s\S]*\n {2}interval +duration, 1ms to 1d \[1s\]\n/);
  const { role, options } = JSON.parse(await printed(t, 'plugins', 'emulator', '--format', 'json'));
  assert.equal(role, 'source');
  assert.deepEqual(
    (({ type, default: usual, minimum }) => ({ type, usual, minimum }))(options.find(({ name }) => name === 'interval')),
    { type: 'duration', usual: '1s', minimum: '1ms' },
  );
  const reference = readFileSync(join(ROOT, 'docs', 'reference', 'plugins.md'), 'utf8');
  assert.ok(reference.includes(`\n## emulator\n\n${await printed(t, 'plugins', 'emulator', '--format', 'markdown')}`));
});

test('emulate publishes over MQTT what the emulator sends, each device to its topic, and ends after its count', async (t) => {
  const broker = await Broker.start(t);
  const reader = new Child(t, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(broker.port), '-t', '#', '-q', '1', '-v']);
  await broker.subscribed();
  const emulated = ['--devices', '2', '--count', '30', '--interval', '5ms', '--seed', '7'];
  const { code, stdout, stderr } = await millrace(t, ['emulate', '--broker', broker.url, ...emulated]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, /2 devices \(getstarted\), a message every 5ms each, to devices\/\{device\}\/messages\/events\/ at mqtt:/);
  const lines = () => reader.stdout.split('\n').slice(0, -1);
  await until(() => `60 messages; ${lines().length} came`, () => lines().length >= 60);

  const folder = temporaryFolder(t);
  writeFileSync(
    join(folder, 'same.yaml'),
    'name: same\nstages:\n  - {plugin: emulator, devices: 2, count: 30, interval: 5ms, seed: 7}\n  - {plugin: console}\n',
  );
  const same = await millrace(t, ['run', join(folder, 'same.yaml'), '--data', join(folder, 'data')]);
  const readings = (rows) => rows.map(({ ts, ...rest }) => (assert.ok(ts > 1.7e12), JSON.stringify(rest))).sort();
  const published = lines().map((line) => {
    const [, device, text] = line.match(/^devices\/([^/ ]+)\/messages\/events\/ (.*)$/);
    const fields = JSON.parse(text);
    assert.equal(fields.deviceId, device);
    return fields;
  });
  assert.deepEqual(readings(published), readings(same.stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line))));
  const numbers = (device) => published.filter(({ deviceId }) => deviceId === device).map(({ messageId }) => messageId);
  for (const device of ['AZ3166-1', 'AZ3166-2']) assert.deepEqual(numbers(device), Array.from({ length: 30 }, (_, i) => i + 1));
});

test('an editor with the schema takes what check takes, refuses what it refuses, and fills in what is good', async (t) => {
  const text = await printed(t, 'schema');
  assert.equal(readFileSync(join(ROOT, 'docs', 'reference', 'pipeline.schema.json'), 'utf8'), text);
  const schema = JSON.parse(text);
  const ajv = new Ajv({ strict: false });
  const takes = ajv.compile(schema);
  const folders = (name) => readdirSync(join(ROOT, name), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const good = [
    ...readdirSync(join(ROOT, 'pipelines')).map((name) => join(ROOT, 'pipelines', name)),
    ...folders('plugins').map(({ name }) => join(ROOT, 'plugins', name, 'sample.yaml')),
    ...folders('examples').map(({ name }) => join(ROOT, 'examples', name, 'pipeline.yaml')).filter(existsSync),
  ];
  assert.ok(good.length > 15, String(good));
  for (const file of good) assert.ok(takes(parse(readFileSync(file, 'utf8'), { merge: true })), `${file}: ${JSON.stringify(takes.errors?.slice(0, 3))}`);

  const stages = (stage, more = '') => `${more}stages:\n  - ${stage}\n  - {plugin: null_sink}\n`;
  for (const [right, wrong] of [
    ['{plugin: emulator, devices: 3}', '{plugin: emulator, devics: 3}'],
    ['{plugin: emulator, devices: "${DEVICES:-3}"}', '{plugin: emulator, devices: many}'],
    ['{plugin: emulator, devices: 1}', '{plugin: emulator, devices: 0}'],
    ['{plugin: emulator, interval: 1m30s}', '{plugin: emulator, interval: 90}'],
    ['{plugin: emulator, anomaly: 20s}', '{plugin: emulator, anomaly: [20s]}'],
    ['{plugin: emulator, profile: shop}', '{plugin: emulator, profile: boat}'],
    ['{plugin: mqtt_source, topics: [a]}', '{plugin: mqtt_source, qos: 1}'],
    ['{plugin: mqtt_source, topics: a, device: {field: deviceId}}', '{plugin: mqtt_source, topics: a, device: {feild: deviceId}}'],
    ['{plugin: emulator, on_full: newest}', '{plugin: emulator, on_full: oldest}'],
    ['{plugin: emulator}', '{plugin: emulatr}'],
    ['{plugin: emulator}', '{id: nothing}'],
  ]) {
    assert.ok(takes(parse(stages(right))), `${right}: ${JSON.stringify(takes.errors?.slice(0, 3))}`);
    assert.ok(!takes(parse(stages(wrong))), wrong);
  }
  assert.ok(takes(parse(stages('{plugin: emulator}', 'name: a\nlisten: 127.0.0.1:0\n'))));
  assert.ok(!takes(parse(stages('{plugin: emulator}', 'nmae: a\n'))));
  assert.ok(!takes({ name: 'a' }));

  let defaults = 0;
  const look = (node, place) => {
    if (node === null || typeof node !== 'object') return;
    if ('default' in node && !('type' in Object(node.default))) {
      ++defaults;
      assert.ok(ajv.validate(node, node.default), `${place}: ${JSON.stringify(node.default)} is no ${JSON.stringify(node)}`);
    }
    for (const [name, inner] of Object.entries(node)) look(inner, `${place}.${name}`);
  };
  look(schema, '');
  assert.ok(defaults > 50, String(defaults));
});

test('bash completes commands, options, what options may be, and paths', async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['a pipeline.yaml', 'other.yaml']) writeFileSync(join(folder, name), '');
  const completed = async (...words) => {
    const script = `. '${join(ROOT, 'scripts', 'completion.bash')}'; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const child = new Child(t, 'bash', ['-c', script, 'bash', MILLRACE, ...words], { cwd: folder });
    const { stdout, stderr } = await child.end();
    assert.equal(stderr, '', words.join(' '));
    return stdout.split('\n').filter(Boolean);
  };
  assert.deepEqual(await completed('re'), ['replay']);
  assert.ok((await completed('')).includes('alerts'));
  assert.deepEqual(await completed('alerts', 'sh'), ['show']);
  assert.deepEqual(await completed('run', '--dr'), ['--drain']);
  assert.deepEqual(await completed('check', '--format', ''), ['text', 'json']);
  assert.deepEqual(await completed('plugins', 'mqtt_so'), ['mqtt_source']);
  assert.deepEqual(await completed('check', 'oth'), ['other.yaml']);
  assert.deepEqual(await completed('check', `${folder}/other.yaml`, 'a'), ['a pipeline.yaml']);
  assert.deepEqual(await completed('run', '--data', 'o'), ['other.yaml']);
});
