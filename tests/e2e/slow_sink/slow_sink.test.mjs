// A sink that does not take what it is given: its pipe is full, because nobody reads.
import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { spawn } from 'node:child_process';
import { Instance, MILLRACE, SANITIZED } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';

const COUNT = 400_000;

function writeInput(path) {
  const file = openSync(path, 'w');
  for (let at = 0; at < COUNT; at += 10_000) {
    let text = '';
    for (let i = at; i < at + 10_000; ++i) {
      text += `{"deviceId":"AZ3166-${i % 50}","messageId":${i},"temperature":21.5,"humidity":48.25,"pressure":1013.25,"ts":${1.7e12 + i}}\n`;
    }
    writeSync(file, text);
  }
  closeSync(file);
}

/// Runs file_source -> console with standard output unread, and gives what the test looks at.
async function start(t, onFull) {
  const instance = await Instance.prepare(t, {
    'pipeline.yaml': `
name: slow
stages:
  - id: input
    plugin: file_source
    path: input.jsonl
    device: {field: deviceId}
  - id: slow
    plugin: console
    on_full: ${onFull}
`,
  });
  writeInput(instance.path('input.jsonl'));
  const child = spawn(MILLRACE, ['run', instance.path('pipeline.yaml'), '--data', instance.data, '--listen', instance.address], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const exited = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  instance.child = { pid: child.pid, get stderr() { return said; } };
  // Standard output gets no reader until read() is called.
  const read = async () => {
    const ids = [];
    for await (const line of createInterface({ input: child.stdout })) ids.push(JSON.parse(line).messageId);
    return ids;
  };
  return { instance, read, exited, said: () => said };
}

/// The counters of the stage, once they stand still although there is input left: ten looks in a row show the same.
async function standstill(instance, said) {
  let last = '';
  let same = 0;
  return until(
    () => `the counters to stand still; millrace said:\n${said()}`,
    async () => {
      const out = await instance.metric('millrace_stage_records_out_total', { stage: 'input' });
      const dropped = (await instance.metric('millrace_stage_dropped_total', { stage: 'slow' })) ?? 0;
      const now = `${out} ${dropped}`;
      same = out > 0 && now === last ? same + 1 : 0;
      last = now;
      return same >= 10 && { out, dropped };
    },
    { everyMs: 50 },
  );
}

test('on_full: block stops the source, keeps memory within bounds, and loses nothing', async (t) => {
  const { instance, read, exited, said } = await start(t, 'block');
  const { out, dropped } = await standstill(instance, said);
  assert.ok(out < COUNT, `the source has read all ${out} records although nobody takes them`);
  assert.equal(dropped, 0);
  const memory = Number((await import('node:fs')).readFileSync(`/proc/${instance.child.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+)/)[1]) / 1024;
  if (!SANITIZED) assert.ok(memory < 64, `it took ${memory} MiB`);

  const ids = await read();
  assert.deepEqual(await exited, { code: 0, signal: null });
  assert.equal(ids.length, COUNT);
  assert.ok(ids.every((id, i) => id === i), 'the order changed');
});

for (const policy of ['drop_oldest', 'drop_newest', 'newest']) {
  test(`on_full: ${policy} lets the source run to its end and counts exactly what it drops`, async (t) => {
    const { instance, read, exited, said } = await start(t, policy);
    const { out, dropped } = await standstill(instance, said);
    assert.equal(out, COUNT);
    assert.ok(dropped > 0);

    const ids = await read();
    assert.deepEqual(await exited, { code: 0, signal: null });
    assert.equal(ids.length + dropped, COUNT);
    assert.equal(new Set(ids).size, ids.length);
    if (policy === 'drop_oldest') assert.equal(ids.at(-1), COUNT - 1);
    if (policy === 'drop_newest') assert.equal(ids[0], 0);
    if (policy === 'newest') {
      // Of each device the last reading is among what came.
      const last = new Set(ids.slice(-50).map((id) => id % 50));
      assert.equal(last.size, 50);
      assert.ok(ids.includes(COUNT - 1));
    }
  });
}
