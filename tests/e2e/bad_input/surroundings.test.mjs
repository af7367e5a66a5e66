// Surroundings that do not hold: an occupied port, folders that cannot be written, a history that is none.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { Instance, MILLRACE } from '../support/millrace.mjs';
import { Child } from '../support/process.mjs';
import { until } from '../support/wait.mjs';

const PIPELINE = `
name: surroundings
stages:
  - id: devkit
    plugin: emulator
    interval: 50ms
  - id: climate
    plugin: alert
    rules:
      any: {watch: {value: temperature}, above: -100, severity: info, message: "{key}"}
  - id: live
    plugin: signalr
    from: [devkit, climate]
    hub: /hubs/telemetry
`;

test('an occupied port is named, and the run fails', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE });
  const server = createServer();
  server.listen(instance.port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { code, stderr } = await instance.launch().end();
  assert.equal(code, 1, stderr);
  assert.match(stderr, new RegExp(`${instance.address.replaceAll('.', '\\.')}.*(in use|occupied|taken)`, 'i'));
});

test('a data folder that another instance uses is named, and that instance goes on', async (t) => {
  const first = await Instance.start(t, { 'pipeline.yaml': PIPELINE });
  const second = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE });
  second.data = first.data;
  const { code, stderr } = await second.launch().end();
  assert.equal(code, 1, stderr);
  assert.ok(stderr.includes(first.data), stderr);
  assert.equal((await fetch(`${first.url}/healthz`)).status, 200);
});

test('a data folder that cannot be written is named', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE });
  mkdirSync(instance.data);
  chmodSync(instance.data, 0o555);
  chmodSync(instance.folder, 0o755);
  // Root may write anywhere, so it becomes nobody for this.
  const command = process.getuid() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', MILLRACE] : [MILLRACE];
  const child = new Child(t, command[0], [
    ...command.slice(1), 'run', instance.path('pipeline.yaml'), '--data', instance.data, '--listen', instance.address,
  ]);
  const { code, stderr } = await child.end();
  assert.equal(code, 1, stderr);
  assert.ok(stderr.includes(instance.data), stderr);
  assert.match(stderr, /denied|write|permission/i);
});

test('a data folder below a file is named', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE, file: 'no folder' });
  instance.data = join(instance.path('file'), 'data');
  const { code, stderr } = await instance.launch().end();
  assert.equal(code, 1, stderr);
  assert.ok(stderr.includes(instance.data), stderr);
});

test('a history.db that is no database is put aside as it is, named, and the run goes on with a new one', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE });
  mkdirSync(instance.data);
  const text = 'these are the minutes of a meeting, not a database\n'.repeat(200);
  writeFileSync(join(instance.data, 'history.db'), text);
  await instance.up();
  await instance.child.says(/history\.db/);
  await until('alerts in the new one', async () => (await instance.query('select * from alert_event')).length > 0);
  await instance.down();
  const [aside] = readdirSync(instance.data).filter((name) => name.startsWith('history.db.corrupt'));
  assert.ok(aside, `only ${readdirSync(instance.data)}`);
  assert.equal(readFileSync(join(instance.data, aside), 'utf8'), text);
  assert.ok(instance.child.stderr.includes(aside), instance.child.stderr);
});

test('on a full disk the process lives and the live path goes on', async (t) => {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE });
  mkdirSync(instance.data);
  // A file system of 3 MiB in a mount namespace of the process's own, all but full.
  const script = `mount -t tmpfs -o size=3m full "$DATA" || exit 77
    head -c 1100K /dev/zero > "$DATA/ballast"
    exec "$MILLRACE" run "$PIPELINE" --data "$DATA" --listen "$ADDRESS"`;
  const unshare = process.getuid() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
  instance.child = new Child(t, 'unshare', [...unshare, 'bash', '-c', script], {
    env: { DATA: instance.data, MILLRACE, PIPELINE: instance.path('pipeline.yaml'), ADDRESS: instance.address },
  });
  const says = (path) => fetch(`${instance.url}${path}`).then(({ status }) => status === 200);
  // It has begun only when it is ready: that a disk is full before is a reason not to.
  await until(
    () => `it to be ready; it said:\n${instance.child.stderr}`,
    async () => (instance.child.running ? says('/readyz').catch(() => false) : 'ended'),
  );
  if (!instance.child.running) {
    const { code } = await instance.child.exited;
    if (code !== 77 && !/^unshare: /m.test(instance.child.stderr)) assert.fail(`it ended with ${code}:\n${instance.child.stderr}`);
    t.skip(`no mount namespace is allowed here: ${instance.child.stderr}`);
    return;
  }
  const fill = new Child(t, 'nsenter', ['--mount', '--target', String(instance.child.pid), 'bash', '-c', `cat /dev/zero > "${instance.data}/more"`]);
  await fill.end();
  const before = await instance.metric('millrace_stage_records_out_total', { stage: 'devkit' });
  await until('the source to go on', async () => (await instance.metric('millrace_stage_records_out_total', { stage: 'devkit' })) > before + 20);
  assert.ok(await says('/healthz'));
});
