// What sources receive is recorded, and a replay of it tells what was told live, beside the running instance and over a kill.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { test } from 'node:test';
import { Instance, millrace } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';

const pipeline = (above, record = 'record: {keep: 7d, limit: 64MiB}') => `name: line
${record}
stages:
  - {id: kit, plugin: emulator, devices: 4, interval: 20ms, anomaly: {every: 2s, length: 1s}}
  - id: climate
    plugin: alert
    time: {catch_up: 0s}
    rules:
      jump: {watch: {rise: humidity, within: 30s}, above: ${above}, clear: {below: 5}, severity: warning}
  - {id: out, plugin: file_sink, path: out.jsonl, from: climate, envelope: true}
`;

const alerts = (text) =>
  text
    .split('\n')
    .filter((line) => line.includes('"kind":"alert"'))
    .map((line) => JSON.parse(line).fields);

test('a replay tells what was told live', async (t) => {
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline(10), 'other.yaml': pipeline(1000, '') });
  const history = () => instance.query("select incident_id, from_state, to_state, event_ms from alert_event where to_state in ('FIRING','OK') order by seq");
  await until('five openings', async () => (await history()).filter(({ to_state }) => to_state === 'FIRING').length >= 5);
  const replay = (...args) => millrace(t, ['replay', instance.path('pipeline.yaml'), '--data', instance.data, ...args]);

  const beside = await replay('--from', '-1h');
  assert.equal(beside.code, 0, beside.stderr);
  assert.ok(alerts(beside.stdout).length > 0);

  await instance.child.kill();
  await instance.up();
  const before = (await history()).length;
  await until('more of them', async () => (await history()).length >= before + 4);
  await instance.down();

  const live = (await history()).map(({ incident_id, from_state, to_state, event_ms }) => [incident_id, from_state, to_state, event_ms]);
  const { code, stdout, stderr } = await replay();
  assert.equal(code, 0, stderr);
  const replayed = alerts(stdout)
    .filter(({ to }) => to === 'FIRING' || to === 'OK')
    .map(({ incident, from, to, time }) => [incident, from, to, Math.floor(time)]);
  // What was received in the last moment before the kill may not be in the file; the emulator begins anew after it.
  assert.deepEqual(replayed.slice(0, before - 2), live.slice(0, before - 2));
  assert.equal((await history()).length, live.length, 'the replay left the history alone');

  const compared = await replay('--compare', instance.path('other.yaml'), '--format', 'json');
  const difference = JSON.parse(compared.stdout);
  assert.ok(difference.only_first.length >= 5);
  assert.deepEqual([difference.only_second, difference.changed, difference.same], [[], [], 0]);
  const text = await replay('--compare', instance.path('other.yaml'));
  assert.match(text.stdout, new RegExp(`\\n- jump .*\\n${difference.only_first.length} only in the first, 0 only in the second`));

  const nothing = await replay('--from', '2020-01-01', '--to', '2020-01-02');
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /nothing is recorded from 2020-01-01T00:00:00Z/);
  assert.equal((await replay('--from', 'soon')).code, 2);
  assert.equal((await millrace(t, ['replay', instance.path('pipeline.yaml'), '--data', instance.path('none')])).code, 1);
});

test('at the moment from which a replay tells, windows are as full as they were live', async (t) => {
  const watched = (above) => `name: attic
record: {keep: 7d, limit: 64MiB}
stages:
  - {id: kit, plugin: file_source, path: in.jsonl, follow: true, device: {field: deviceId}, time: {field: ts}}
  - id: climate
    plugin: alert
    time: {field: ts, late: 1h, catch_up: 0s}
    rules:
      jump: {watch: {rise: humidity, within: 30s}, above: ${above}, clear: {below: 5}, severity: warning}
      damp: {watch: {value: humidity}, above: 40, severity: warning}
`;
  const instance = await Instance.start(t, { 'pipeline.yaml': watched(10), 'lax.yaml': watched(20), 'in.jsonl': '' });
  const ts = Date.now() - 60_000;
  const recorded = () => instance.metric('millrace_stage_recorded_total', { stage: 'kit' });
  const read = async (second, humidity, count) => {
    appendFileSync(instance.path('in.jsonl'), JSON.stringify({ deviceId: 'a', humidity, ts: ts + second * 1000 }) + '\n');
    await until(`${count} recorded`, async () => (await recorded()) === count);
  };
  await read(0, 50, 1);
  const from = new Date().toISOString();
  await until('the clock to go on', () => new Date().toISOString() > from);
  await read(10, 62, 2);
  await instance.down();

  const replay = (...args) => millrace(t, ['replay', instance.path('pipeline.yaml'), '--data', instance.data, '--from', from, ...args]);
  const told = await replay();
  assert.equal(told.code, 0, told.stderr);
  assert.deepEqual(
    alerts(told.stdout).map(({ rule, value, time }) => [rule, value, time]),
    [['jump', 12, ts + 10_000]],
  );
  const traced = await replay('--trace');
  const records = traced.stdout.split('\n').filter((line) => line.includes('"kind":"record"'));
  assert.equal(records.length, 1, traced.stdout);
  const people = await replay('--format', 'text');
  assert.match(people.stdout, /^1 records, [\s\S]*\n1 alert\n$/);
  const compared = JSON.parse((await replay('--compare', instance.path('lax.yaml'), '--format', 'json')).stdout);
  assert.deepEqual(compared.only_first.map(({ rule }) => rule), ['jump']);
  assert.deepEqual([compared.only_second, compared.changed, compared.same], [[], [], 0]);
});

test('a pipeline may say `record` wrong, and is told where', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': pipeline(10, 'record: {keeep: 7d, limit: 12}') });
  const { code, stderr } = await millrace(t, ['check', instance.path('pipeline.yaml')]);
  assert.equal(code, 1);
  assert.match(stderr, /pipeline\.yaml:2:10: unknown key 'keeep'.*did you mean 'keep'/);
  assert.match(stderr, /pipeline\.yaml:2:28: .*limit.*unit|pipeline\.yaml:2:\d+: .*limit/);
});
