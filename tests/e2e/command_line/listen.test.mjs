// What is wrong with `listen` is told by `check` and by `run`, at its place, before anything is opened.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { millrace } from '../support/millrace.mjs';
import { temporaryFolder } from '../support/process.mjs';

const STAGES = '\nstages:\n  - plugin: emulator\n    count: 1\n  - plugin: null_sink\n';

function certificate(folder, name) {
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost', '-days', '1',
      '-keyout', `${name}.key`, '-out', `${name}.pem`],
    { cwd: folder, stdio: 'pipe' },
  );
}

// [what, listen, problems as [line, column, words]]
const CASES = [
  ['a port out of range', 'listen: 127.0.0.1:70000', [[1, 9, /'70000' is not a port from 0 to 65535/]]],
  ['no address at all', 'listen:\n  address: nowhere:80', [[2, 12, /'nowhere' is not a numeric address/]]],
  ['an address that others reach', 'listen: 0.0.0.0:0', [[1, 9, /can be reached from other machines.*insecure: true/]]],
  ['the same in IPv6', 'listen: {address: "[::]:0"}', [[1, 19, /can be reached from other machines/]]],
  [
    'files that are not there',
    'listen:\n  address: 127.0.0.1:0\n  tls:\n    cert: absent.pem\n    key: absent.key',
    [[4, 11, /cert '.*absent\.pem' is not a readable PEM certificate/], [5, 10, /key '.*absent\.key' is not a readable PEM key/]],
  ],
  ['a file that is no certificate', 'listen: {address: 127.0.0.1:0, tls: {cert: p.yaml, key: a.key}}', [[1, 44, /p\.yaml/]]],
  ["another certificate's key", 'listen: {address: 127.0.0.1:0, tls: {cert: a.pem, key: b.key}}', [[1, 56, /b\.key' is not the key of cert/]]],
  ['a key of another kind', 'listen: {address: 127.0.0.1:0, tls: {cert: a.pem, key: rsa.key}}', [[1, 56, /rsa\.key' is not the key of cert/]]],
  ['address and certificate', 'listen: {address: x, tls: {cert: a.pem, key: b.key}}', [[1, 19, /not a port/], [1, 46, /not the key/]]],
];

test('what a listener would refuse is told with line and column', async (t) => {
  const folder = temporaryFolder(t);
  certificate(folder, 'a');
  certificate(folder, 'b');
  execFileSync('openssl', ['genrsa', '-out', 'rsa.key', '2048'], { cwd: folder, stdio: 'pipe' });
  for (const [what, listen, expected] of CASES) {
    await t.test(what, async (t) => {
      writeFileSync(join(folder, 'p.yaml'), listen + STAGES);
      const { code, stdout } = await millrace(t, ['check', '--format', 'json', 'p.yaml'], { cwd: folder });
      const problems = JSON.parse(stdout);
      assert.equal(code, 1);
      assert.deepEqual(problems.map(({ line, column }) => [line, column]), expected.map(([line, column]) => [line, column]), stdout);
      expected.forEach(([, , words], i) => assert.match(problems[i].what, words));

      const ran = await millrace(t, ['run', 'p.yaml', '--data', 'data'], { cwd: folder });
      assert.equal(ran.code, 1);
      for (const [line, column, words] of expected) {
        const said = ran.stderr.split('\n').find((text) => text.includes(`p.yaml:${line}:${column}: `));
        assert.match(said ?? ran.stderr, words);
      }
    });
  }
});

test('an address that is protected, or declared insecure, is good', async (t) => {
  const folder = temporaryFolder(t);
  certificate(folder, 'a');
  for (const listen of ['{address: "0.0.0.0:0", insecure: true}', '{address: "0.0.0.0:0", tls: {cert: a.pem, key: a.key}}', 'localhost:0']) {
    writeFileSync(join(folder, 'p.yaml'), `listen: ${listen}${STAGES}`);
    const { code, stderr } = await millrace(t, ['check', 'p.yaml'], { cwd: folder });
    assert.equal(code, 0, stderr);
  }
});

test('an address from the command line is held to the same', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'p.yaml'), `name: p${STAGES}`);
  const { code, stderr } = await millrace(t, ['run', 'p.yaml', '--data', 'data', '--listen', '0.0.0.0:0'], { cwd: folder });
  assert.equal(code, 1);
  assert.match(stderr, /p\.yaml:1:1: 0\.0\.0\.0:0 can be reached from other machines/);
});

test('what the rules come to is printed for people, and on request as the result', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(
    join(folder, 'p.yaml'),
    'name: p\nstages:\n  - plugin: emulator\n  - id: watch\n    plugin: alert\n    rules:\n' +
      '      hot: {watch: {avg: temperature, within: 60s, every: 10s}, above: 30, clear: {below: 28}}\n  - plugin: null_sink\n',
  );
  const RULE = 'hot: avg of temperature over (end-1m, end], each end a multiple of 10s since the epoch';
  const run = (...more) => millrace(t, ['check', 'p.yaml', ...more], { cwd: folder });

  const plain = await run();
  assert.ok(plain.stderr.includes(RULE), plain.stderr);
  assert.equal(plain.stdout, '');
  const asked = await run('--explain');
  assert.ok(asked.stdout.includes(RULE), asked.stdout);
  assert.ok(!asked.stderr.includes(RULE));
  const silent = await run('--no-explain');
  assert.ok(!(silent.stdout + silent.stderr).includes(RULE));
  assert.deepEqual(JSON.parse((await run('--format', 'json')).stdout), []);
  const json = JSON.parse((await run('--format', 'json', '--explain')).stdout);
  assert.deepEqual(json.problems, []);
  assert.equal(json.explanations[0].stage, 'watch');
  assert.ok(json.explanations[0].lines[0].startsWith(RULE));
});
