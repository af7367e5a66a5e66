// A saved file changes what runs: only the stages that it concerns stand still, and a broken one changes nothing.
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, unlinkSync } from 'node:fs';
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
  await until(() => `records of the second; it said:\n${instance.child.stderr}`, () => readJsonLines(instance.path('second.jsonl')).length > 5);
  unlinkSync(instance.path('second.yaml'));
  await instance.child.says(/second\.yaml is gone; its pipeline ends/);
  const before = marks(instance).length;
  await until('the first to go on', () => marks(instance).length > before + 20);
  await instance.down();
});

const COUNTER = (more = '') => `n = 0\nfunction process(record) n = n + 1 record.mark = n return record end\n${more}`;

test('a script that was gone for a while, or never there, is noticed when it comes', async (t) => {
  const instance = await Instance.prepare(t, {
    'pipeline.yaml': PIPELINE(),
    'second.yaml': 'name: second\nstages:\n  - {plugin: emulator, interval: 5ms}\n  - {id: mark, plugin: lua, script: later/late.lua}\n  - {plugin: file_sink, path: second.jsonl}\n',
    'mark.lua': SCRIPT('one'),
  });
  instance.args = [instance.path('second.yaml')];
  instance.launch();
  await instance.child.says(/late\.lua/);
  await shows(instance, 'one');

  unlinkSync(instance.path('mark.lua'));
  await instance.child.says(/cannot read the file[^\n]*mark\.lua/);
  await instance.child.says(/the running version goes on/);
  instance.write('mark.lua', SCRIPT('two'));
  await shows(instance, 'two');
  instance.write('mark.lua', SCRIPT('three'));
  await shows(instance, 'three');

  instance.write('later/late.lua', SCRIPT('late'));
  await until('the pipeline whose script was missing', () => marks(instance, 'second.jsonl').at(-1) === 'late');
  await instance.down();
});

test('what a symbolic link leads to is watched, and where the link leads', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE(), 'scripts/a/mark.lua': SCRIPT('one'), 'scripts/b/mark.lua': SCRIPT('two') });
  symlinkSync('scripts/now/mark.lua', instance.path('mark.lua'));
  symlinkSync('a', instance.path('scripts/now'));
  await instance.up();
  await shows(instance, 'one');
  instance.write('scripts/a/mark.lua', SCRIPT('more'));
  await shows(instance, 'more');
  unlinkSync(instance.path('scripts/now'));
  symlinkSync('b', instance.path('scripts/now'));
  await shows(instance, 'two');
  await instance.down();
});

const SECOND = (interval) => `name: second\nstages:\n  - {plugin: emulator, interval: ${interval}}\n  - {plugin: null_sink}\n`;

test('a script whose init() fails leaves the running one its variables, and is not tried again until it changes', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE(), 'second.yaml': SECOND('5ms'), 'mark.lua': COUNTER() });
  instance.args = [instance.path('second.yaml')];
  await instance.up();
  await until('records', () => marks(instance).length > 20);

  instance.write('mark.lua', COUNTER('function init() error("no key") end\n'));
  await instance.child.says(/lua 'mark': init\(\) failed: [\s\S]*no key[\s\S]*the running version goes on/);
  for (let times = 1; times <= 3; ++times) {
    instance.write('second.yaml', SECOND(`${5 + times}ms`));
    await instance.child.says(new RegExp(`(second: reloaded[\\s\\S]*){${times}}`));
  }
  assert.equal(instance.child.stderr.match(/the running version goes on/g).length, 1, 'said once');
  assert.doesNotMatch(instance.child.stderr, /reloaded: reloaded/);
  const broken = (await (await fetch(`${instance.url}/readyz`)).json()).broken;
  assert.deepEqual(broken, [{ file: instance.path('pipeline.yaml'), running: true }]);

  const seen = marks(instance);
  assert.deepEqual(seen, seen.map((_, i) => i + 1), 'the count has gone on');
  instance.write('mark.lua', SCRIPT('mended'));
  await shows(instance, 'mended');
  await instance.child.says(/reloaded: reloaded/);
  assert.deepEqual((await (await fetch(`${instance.url}/readyz`)).json()).broken, []);
  await instance.down();
});

test('when a later stage refuses, the script that was swapped before it comes back with its variables', async (t) => {
  const pipeline = (init, more) => PIPELINE({ more }).replace('script: mark.lua', `code: 'n = ${init} function process(record) n = n + 1 record.mark = n return record end'`);
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline(0, '') });
  await until('records', () => marks(instance).length > 20);
  instance.write('pipeline.yaml', pipeline(1_000_000, '  - {id: rival, plugin: signalr, from: mark, hub: /healthz}\n'));
  await instance.child.says(/going back to the version that ran/);
  const before = marks(instance).length;
  await until('records to go on', () => marks(instance).length > before + 20);
  const old = marks(instance).filter((n) => n < 1_000_000);
  assert.deepEqual(old, old.map((_, i) => i + 1), 'the count has gone on');
  assert.ok(marks(instance).at(-1) < 1_000_000);
  await instance.down();
});

test('another address that is taken leaves the running version where it is', async (t) => {
  const other = await Instance.start(t, { 'pipeline.yaml': PIPELINE(), 'mark.lua': SCRIPT('other') });
  const instance = await Instance.prepare(t, { 'mark.lua': COUNTER() });
  const at = (address) => PIPELINE().replace('stages:', `listen: ${address}\nstages:`);
  instance.write('pipeline.yaml', at(instance.address));
  instance.launch(['run', instance.path('pipeline.yaml'), '--data', instance.data]);
  await until('records', () => marks(instance).length > 20);
  instance.write('pipeline.yaml', at(other.address));
  await instance.child.says(/the running version goes on/);
  const before = marks(instance).length;
  await until('records to go on', () => marks(instance).length > before + 20);
  const seen = marks(instance);
  assert.deepEqual(seen, seen.map((_, i) => i + 1), 'the count has gone on');
  assert.equal((await fetch(`${instance.url}/readyz`)).status, 200);
  await instance.down();
  await other.down();
});
