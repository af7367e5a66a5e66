// A disk without room: what is live goes on, alerts wait, everybody can see that they do, and with room again none is missing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Instance } from '../support/millrace.mjs';
import { FILE_SOURCE } from '../support/stages.mjs';
import { readJsonLines, until } from '../support/wait.mjs';

const PIPELINE = `
name: full
stages:${FILE_SOURCE}
  - id: climate
    plugin: alert
    from: readings
    time: {field: ts, late: 1h, catch_up: 0s}
    rules:
      hot:
        watch: {value: temperature}
        above: 30
        severity: critical
        message: "{key}: {value:.1f} degrees, and some more words that take room on the disk"

  - id: live
    plugin: file_sink
    from: readings
    path: out.jsonl
`;

const COUNT = 3000;

/// Limits the room of the data folder: a small file system where we may mount one, else the size of the program's files.
function smallDisk(instance, mounted) {
  mkdirSync(instance.data);
  if (process.getuid() === 0) {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', instance.data], { stdio: 'ignore' });
      mounted.push(instance.data);
      const filler = join(instance.data, 'filler');
      return {
        fill() {
          const file = openSync(filler, 'w');
          const block = Buffer.alloc(4096);
          try {
            for (;;) writeSync(file, block);
          } catch (error) {
            assert.equal(error.code, 'ENOSPC');
          }
          closeSync(file);
        },
        free: () => rmSync(filler),
      };
    } catch {
      // A container may not mount: the other way, then.
    }
  }
  const limit = (bytes) => execFileSync('prlimit', ['--pid', String(instance.child.pid), `--fsize=${bytes}:`]);
  return {
    fill: () => limit(statSync(join(instance.data, 'history.db-wal')).size),
    free: () => limit('unlimited'),
  };
}

test('a full disk holds alerts up and nothing else, and no alert is lost', async (t) => {
  const mounted = [];
  // Before the hook that removes the folder, which prepare() sets.
  t.after(() => mounted.forEach((folder) => execFileSync('umount', ['--lazy', folder])));
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE, 'in.jsonl': '' });
  const disk = smallDisk(instance, mounted);
  await instance.up();
  const ts = Date.now() - 60_000;
  const read = (from, to) => {
    let lines = '';
    for (let i = from; i < to; ++i) lines += JSON.stringify({ deviceId: `d${i}`, temperature: 31, ts: ts + i }) + '\n';
    appendFileSync(instance.path('in.jsonl'), lines);
  };
  const kept = async () => (await instance.query('select count(*) as n from alert_event'))[0].n;
  read(0, 10);
  await until('ten alerts', async () => (await kept()) === 10);
  assert.deepEqual(await readiness(instance), { code: 200, paused: false, status: 'ready' });

  disk.fill();
  read(10, COUNT);
  await until('history to pause', async () => (await instance.metric('millrace_history_paused')) === 1);
  await until('everything live to pass', () => readJsonLines(instance.path('out.jsonl')).length === COUNT);
  assert.deepEqual(await readiness(instance), { code: 200, paused: true, status: 'degraded' });
  const failed = await instance.metric('millrace_history_failed_total');
  await until('further attempts', async () => (await instance.metric('millrace_history_failed_total')) >= failed + 3);
  assert.ok((await kept()) < COUNT);
  const lines = (pattern) => instance.child.stderr.split('\n').filter((line) => pattern.test(line)).length;
  assert.equal(lines(/history pauses until it can be written/), 1, instance.child.stderr);
  assert.equal(lines(/ERROR|error/), 1, instance.child.stderr);

  disk.free();
  await until('all alerts', async () => (await kept()) === COUNT);
  await until('history to go on', async () => (await instance.metric('millrace_history_paused')) === 0);
  assert.deepEqual(await readiness(instance), { code: 200, paused: false, status: 'ready' });
  assert.equal(lines(/is written again/), 1);
  await instance.down();
  const rows = await instance.query('select count(distinct incident_id) as incidents, count(*) as events from alert_event');
  assert.deepEqual(rows, [{ incidents: COUNT, events: COUNT }]);
  assert.equal((await instance.query('pragma integrity_check'))[0].integrity_check, 'ok');
});

async function readiness(instance) {
  const response = await fetch(`${instance.url}/readyz`);
  const { history_paused: paused, status } = await response.json();
  return { code: response.status, paused, status };
}
