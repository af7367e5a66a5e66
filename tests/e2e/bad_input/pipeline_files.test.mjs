// Pipeline files that are wrong: `check` names the place and the cause of everything, quickly, whatever the file.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Instance, SANITIZED, millrace } from '../support/millrace.mjs';
import { temporaryFolder } from '../support/process.mjs';
import { until } from '../support/wait.mjs';

const stages = (text) => `name: bad\nstages:\n${text}`;
const CHAIN = `  - id: a\n    plugin: emulator\n  - id: b\n    plugin: console\n`;

// [what, file, [line, column, words]...]
const CASES = [
  ['an unknown key', stages(`  - id: a\n    plugin: emulator\n    devics: 3\n  - id: b\n    plugin: console\n`), [5, 5, /devics.*did you mean.*devices/]],
  ['an unknown key of the file', `nmae: bad\n${stages(CHAIN)}`, [1, 1, /nmae.*did you mean.*name/]],
  ['a duplicate key', stages(`  - id: a\n    plugin: emulator\n    seed: 1\n    seed: 2\n  - id: b\n    plugin: console\n`), [6, 5, /seed/]],
  ['a missing key', stages(`  - id: a\n    plugin: mqtt_source\n    broker: mqtt://127.0.0.1\n  - id: b\n    plugin: console\n`), [3, 5, /topics/]],
  ['a mistyped value', stages(`  - id: a\n    plugin: emulator\n    devices: many\n  - id: b\n    plugin: console\n`), [5, 14, /devices|many/]],
  ['a bare number for a duration', stages(`  - id: a\n    plugin: emulator\n    interval: 10\n  - id: b\n    plugin: console\n`), [5, 15, /10s|unit/]],
  ['an unknown plugin', stages(`  - id: a\n    plugin: emulatr\n  - id: b\n    plugin: console\n`), [4, 13, /emulatr.*did you mean.*emulator/]],
  ['two stages of one name', stages(`  - id: a\n    plugin: emulator\n  - id: a\n    plugin: console\n`), [5, 9, /a/]],
  ['a dangling from', stages(`  - id: source\n    plugin: emulator\n  - id: b\n    plugin: console\n    from: sorce\n`), [7, 11, /sorce.*did you mean.*source/]],
  [
    'a cycle',
    stages(
      `  - id: s\n    plugin: emulator\n  - id: x\n    plugin: lua\n    code: "function process(r) return r end"\n    from: [s, z]\n` +
        `  - id: z\n    plugin: lua\n    code: "function process(r) return r end"\n    from: x\n  - id: out\n    plugin: console\n    from: z\n`,
    ),
    [undefined, undefined, /'[xz]' reads, by a circle, from itself/],
  ],
  ['a hub that cannot stand beside another', stages(`  - id: a\n    plugin: emulator\n  - id: b\n    plugin: signalr\n    hub: /hubs/x\n  - id: c\n    plugin: signalr\n    from: a\n    hub: /hubs/x\n    client_queue: 1MiB\n`), [8, 5, /the stages 'b' and 'c': both have the hub '\/hubs\/x'/]],
  ['no stages', 'name: bad\n', [1, 1, /stages/]],
  ['broken YAML', 'name: bad\nstages:\n  - id: [a\n', [undefined, undefined, /./]],
  ['an unreadable script', stages(`  - id: a\n    plugin: emulator\n  - id: l\n    plugin: lua\n    script: absent.lua\n  - id: b\n    plugin: console\n`), [7, 13, /absent\.lua/]],
  ['a script with a syntax error', stages(`  - id: a\n    plugin: emulator\n  - id: l\n    plugin: lua\n    code: "function process(r) retrun r end"\n  - id: b\n    plugin: console\n`), [7, undefined, /retrun|syntax|expected/]],
  ['a secret that is not there', stages(`  - id: a\n    plugin: mqtt_source\n    broker: mqtt://127.0.0.1\n    topics: [a]\n    password: \${NOT_SET_ANYWHERE}\n  - id: b\n    plugin: console\n`), [7, 15, /NOT_SET_ANYWHERE/]],
];

for (const [what, text, [line, column, words]] of CASES) {
  test(`${what} is reported with its place`, async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'bad.yaml'), text);
    const { code, stdout, stderr } = await millrace(t, ['check', join(folder, 'bad.yaml')]);
    const said = stdout + stderr;
    assert.equal(code, 1, said);
    const place = `bad\\.yaml:${line ?? '\\d+'}:${column ?? '\\d+'}: `;
    const report = said.split('\n').find((l) => new RegExp(place).test(l));
    assert.ok(report, `no line of ${place}:\n${said}`);
    assert.match(report, words);
  });
}

test('all problems of a file are reported in one run', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(
    join(folder, 'bad.yaml'),
    stages(`  - id: a\n    plugin: emulator\n    devics: 3\n    interval: soon\n  - id: b\n    plugin: consol\n  - id: c\n    plugin: console\n    from: nowhere\n`),
  );
  const { code, stdout, stderr } = await millrace(t, ['check', join(folder, 'bad.yaml')]);
  assert.equal(code, 1);
  for (const place of ['5:5', '6:15', '8:13', '11:11']) assert.match(stdout + stderr, new RegExp(`bad\\.yaml:${place}: `));
});

test('what only stages can tell is told beside what is wrong elsewhere', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(
    join(folder, 'bad.yaml'),
    stages(
      `  - {id: a, plugin: emulator, devics: 3}\n  - {id: b, plugin: signalr, hub: /hubs/x}\n  - {id: c, plugin: signalr, from: a, hub: /hubs/x, client_queue: 1MiB}\n` +
        `  - {id: d, plugin: mqtt_sink, from: a, broker: "mqtts://h", tls: {ca: absent.pem}}\n`,
    ),
  );
  const { code, stdout, stderr } = await millrace(t, ['check', join(folder, 'bad.yaml')]);
  assert.equal(code, 1);
  for (const place of ['3:31: unknown key', '5:5: the stages', "6:72: tls\\.ca '"]) assert.match(stdout + stderr, new RegExp(`bad\\.yaml:${place}`));
});

test('the problems are data with --format json', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'bad.yaml'), stages(`  - id: a\n    plugin: emulator\n    devics: 3\n  - id: b\n    plugin: console\n`));
  const { code, stdout } = await millrace(t, ['check', '--format', 'json', join(folder, 'bad.yaml')]);
  assert.equal(code, 1);
  const [problem] = JSON.parse(stdout);
  assert.equal(problem.line, 5);
  assert.equal(problem.column, 5);
});

const aliasBomb = () => {
  let text = 'l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 12; ++i) text += `l${i}: &l${i} [${Array(10).fill(`*l${i - 1}`).join(', ')}]\n`;
  return text + stages(CHAIN);
};

for (const [what, text] of [
  ['an alias bomb', aliasBomb()],
  ['10 MB of brackets', '['.repeat(10 << 20)],
  ['10 MB of braces', '{'.repeat(10 << 20)],
  ['10 MB of dashes', '- '.repeat(5 << 20)],
  ['a deep nest that is closed', '['.repeat(100_000) + ']'.repeat(100_000)],
  ['a file of zeros', '\0'.repeat(1000)],
  ['invalid UTF-8', Buffer.from([0x6e, 0x3a, 0x20, 0xff, 0xfe, 0x0a])],
  ['nothing', ''],
]) {
  test(`${what} is refused within bounds of time and memory`, async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'bad.yaml'), text);
    // 2 GiB of address space (ulimit, KiB): growth without bounds dies of it, and is then not a clean exit 1.
    const { code, signal, stdout, stderr } = await millrace(t, ['check', join(folder, 'bad.yaml')], {
      seconds: 20,
      addressSpaceKiB: SANITIZED ? undefined : 2 << 20,
    });
    assert.equal(signal, null, stderr.slice(-500));
    assert.equal(code, 1, (stdout + stderr).slice(-500));
    assert.match(stdout + stderr, /bad\.yaml/);
    assert.ok((stdout + stderr).length < 10_000, 'the report repeats the file');
  });
}

test('a good pipeline beside a broken one runs all the same', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'bad.yaml'), 'name: bad\nstages: 3\n');
  writeFileSync(join(folder, 'input.jsonl'), '{"n":1}\n');
  writeFileSync(
    join(folder, 'good.yaml'),
    `name: good\nstages:\n  - id: a\n    plugin: file_source\n    path: input.jsonl\n  - id: b\n    plugin: console\n`,
  );
  const run = await millrace(t, ['run', join(folder, 'bad.yaml'), join(folder, 'good.yaml'), '--data', join(folder, 'data')]);
  assert.equal(run.stdout, '{"n":1}\n');
  assert.match(run.stderr, /bad\.yaml:2:/);
});

test('what only a stage that starts can tell has its place in the file, too', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'bad.yaml');
  writeFileSync(
    file,
    `listen: 127.0.0.1:0\n${stages(`  - id: a\n    plugin: emulator\n  - id: b\n    plugin: signalr\n    hub: /hubs/x\n  - id: c\n    plugin: signalr\n    from: a\n    hub: /hubs/x\n    client_queue: 1MiB\n`)}`,
  );
  const { code, stderr } = await millrace(t, ['run', file, '--data', join(folder, 'data')]);
  assert.equal(code, 1);
  assert.match(stderr, /bad: .*bad\.yaml:(6|9):5: signalr '[bc]': .*\/hubs\/x/);
});

test('two files of one name are a problem; two that serve one path are good and cannot run together', async (t) => {
  const folder = temporaryFolder(t);
  const file = (name, pipeline, more) =>
    writeFileSync(join(folder, name), `name: ${pipeline}\nlisten: 127.0.0.1:8080\nstages:\n  - plugin: emulator\n  - {plugin: signalr, ${more}}\n`);
  file('a.yaml', 'one', 'hub: /hubs/a');
  file('b.yaml', 'two', 'hub: /hubs/b, plain: /hubs/a');
  const apart = await millrace(t, ['check', folder]);
  assert.equal(apart.code, 0, apart.stderr);
  assert.match(apart.stderr, /note: .*b\.yaml: serves \/hubs\/a on 127\.0\.0\.1:8080, and so does .*a\.yaml/);
  assert.match(apart.stderr, /2 files are good/);
  file('b.yaml', 'one', 'hub: /hubs/b');
  const same = await millrace(t, ['check', folder]);
  assert.equal(same.code, 1);
  assert.match(same.stderr, /b\.yaml:1:7: the name 'one' is taken by .*a\.yaml/);
  assert.doesNotMatch(same.stderr, /note:/);
  const beside = await Instance.prepare(t, {});
  beside.launch(['run', folder, '--data', beside.data, '--listen', beside.address]);
  await beside.child.says(/b\.yaml:1:7: the name 'one' is taken by .*a\.yaml/);
  await until('the first to run', async () => (await fetch(`${beside.url}/healthz`)).status === 200);
  await beside.child.kill();
  for (const again of [join(folder, 'a.yaml'), `${folder}/./a.yaml`]) {
    const twice = await millrace(t, ['check', join(folder, 'a.yaml'), again]);
    assert.equal(twice.code, 0, twice.stderr);
    assert.doesNotMatch(twice.stderr, /note:/);
  }
});
