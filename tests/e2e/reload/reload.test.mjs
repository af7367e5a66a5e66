// A saved file changes what runs: only the stages that it concerns stand still, and a broken one changes nothing.
import assert from 'node:assert/strict';
import { unlinkSync } from 'node:fs';
import { test } from 'node:test';
import * as signalR from '@microsoft/signalr';
import { Instance } from '../support/millrace.mjs';
import { readJsonLines, until } from '../support/wait.mjs';

const SCRIPT = (mark) => `function process(record) record.mark = "${mark}" return record end\n`;

const PIPELINE = ({ file = 'out.jsonl', rules = '{level: {watch: {value: humidity}, above: 0, severity: warning}}', more = '' } = {}) => `
name: reloaded
stages:
  - id: devkit
    plugin: emulator
    devices: 1
    interval: 5ms
  - id: mark
    plugin: lua
    script: mark.lua
  - id: kept
    plugin: file_sink
    path: ${file}
  - id: climate
    plugin: alert
    from: mark
    rules: ${rules}
  - id: live
    plugin: signalr
    from: [mark, climate]
${more}`;

const marks = (instance, file = 'out.jsonl') => readJsonLines(instance.path(file)).map((r) => r.mark);
const shows = (instance, mark) =>
  until(() => `records marked ${mark}; millrace said:\n${instance.child.stderr}`, () => marks(instance).at(-1) === mark);

test('a saved script is swapped in between two batches; nothing is lost, and clients stay connected', async (t) => {
  const instance = await Instance.start(t, { 'pipeline.yaml': PIPELINE(), 'mark.lua': SCRIPT('one') });
  const client = new signalR.HubConnectionBuilder()
    .withUrl(`${instance.url}/hubs/telemetry`)
    .configureLogging(signalR.LogLevel.None)
    .build();
  t.after(() => client.stop());
  let closed = 0;
  let latest;
  client.onclose(() => ++closed);
  client.on('telemetry', (records) => (latest = records.at(-1).fields.mark));
  client.on('alert', () => {});
  await client.start();
  await shows(instance, 'one');

  instance.write('mark.lua', SCRIPT('two'));
  await shows(instance, 'two');
  await until('the client to see it', () => latest === 'two');

  instance.write('mark.lua', 'function process(record) return recrd.x.y.z');
  await instance.child.says(/mark\.lua/);
  const before = marks(instance).length;
  await until('records to go on', () => marks(instance).length > before + 20);
  assert.equal(marks(instance).at(-1), 'two');

  instance.write('mark.lua', SCRIPT('three'));
  await shows(instance, 'three');
  assert.equal(closed, 0);

  const ids = readJsonLines(instance.path('out.jsonl')).map((r) => r.messageId);
  assert.deepEqual(ids, ids.map((_, i) => i + 1), 'every message, once, in order');
  await client.stop();
  await instance.down();
});

test('stages come, change and go; an alert that stays keeps its incident', async (t) => {
  const instance = await Instance.start(t, { 'pipeline.yaml': PIPELINE(), 'mark.lua': SCRIPT('one') });
  await until('the alert', async () => (await instance.query('select count(*) n from alert_event'))[0].n === 1);

  instance.write('pipeline.yaml', PIPELINE({ file: 'elsewhere.jsonl', more: '  - {id: more, plugin: file_sink, from: devkit, path: more.jsonl}\n' }));
  await until('records elsewhere', () => marks(instance, 'elsewhere.jsonl').length > 20);
  await until('records of the new stage', () => marks(instance, 'more.jsonl').length > 20);
  const all = [...readJsonLines(instance.path('out.jsonl')), ...readJsonLines(instance.path('elsewhere.jsonl'))].map((r) => r.messageId);
  assert.deepEqual(all, all.map((_, i) => i + 1), 'the swap of a sink loses and repeats nothing');
  assert.equal((await instance.query('select count(*) n from alert_event'))[0].n, 1, 'the alert goes on');

  instance.write('pipeline.yaml', PIPELINE({ file: 'elsewhere.jsonl' }));
  await instance.child.says(/reloaded: reloaded[\s\S]*reloaded: reloaded/);
  await instance.down();
});

test('a broken file leaves the running version alone and says why; SIGHUP reads it again', async (t) => {
  const instance = await Instance.start(t, { 'pipeline.yaml': PIPELINE(), 'mark.lua': SCRIPT('one') });
  await shows(instance, 'one');
  instance.write('pipeline.yaml', PIPELINE().replace('interval: 5ms', 'interval: 5'));
  await instance.child.says(/pipeline\.yaml:7:15: 'interval': expected a duration/);
  await instance.child.says(/the running version goes on/);
  const before = marks(instance).length;
  await until('records to go on', () => marks(instance).length > before + 20);

  instance.child.process.kill('SIGHUP');
  instance.write('pipeline.yaml', PIPELINE({ more: '  - {id: more, plugin: file_sink, from: devkit, path: more.jsonl}\n' }));
  await until('the mended version', () => marks(instance, 'more.jsonl').length > 5);
  await instance.down();
});

test('a version whose stage refuses to start is taken back', async (t) => {
  const other = await Instance.start(t, { 'pipeline.yaml': PIPELINE(), 'mark.lua': SCRIPT('other') });
  const instance = await Instance.start(t, { 'pipeline.yaml': PIPELINE(), 'mark.lua': SCRIPT('one') });
  await shows(instance, 'one');
  // Two stages that claim one path of the listener: only the second can tell, and only when it connects.
  instance.write('pipeline.yaml', PIPELINE({ more: '  - {id: rival, plugin: signalr, from: mark, hub: /healthz}\n' }));
  await instance.child.says(/going back to the version that ran/);
  const before = marks(instance).length;
  await until('records to go on', () => marks(instance).length > before + 20);
  await instance.down();
  await other.down();
});

test('a pipeline of a folder comes and goes with its file', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE(), 'mark.lua': SCRIPT('one') });
  instance.path = ((path) => (name) => (name === 'pipeline.yaml' ? instance.folder : path.call(instance, name)))(instance.path);
  await instance.up();
  await shows(instance, 'one');
  instance.write('second.yaml', 'name: second\nstages:\n  - {plugin: emulator, interval: 5ms}\n  - {plugin: file_sink, path: second.jsonl}\n');
  await until('records of the second', () => readJsonLines(instance.path('second.jsonl')).length > 5);
  unlinkSync(instance.path('second.yaml'));
  await instance.child.says(/second\.yaml is gone; its pipeline ends/);
  const before = marks(instance).length;
  await until('the first to go on', () => marks(instance).length > before + 20);
  await instance.down();
});
