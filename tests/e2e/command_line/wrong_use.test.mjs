// What a person can type wrongly, command by command: status 2, and a text on standard error that names what was typed. What
// was typed rightly and fails all the same is status 1.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { millrace } from '../support/millrace.mjs';
import { temporaryFolder } from '../support/process.mjs';

const GOOD = 'name: good\nstages:\n  - plugin: emulator\n    count: 1\n  - plugin: null_sink\n';

// [arguments, words on standard error]
const WRONG_USE = [
  [[], /subcommand is required/],
  [['rnu', 'good.yaml'], /there is no command 'rnu'; did you mean 'run'\?/],
  [['--nonsense'], /there is no option '--nonsense'/],
  [['run'], /PATH is required/],
  [['run', 'good.yaml', '--nonsense'], /there is no option '--nonsense' here/],
  [['run', 'good.yaml', '--drian=5s'], /there is no option '--drian' here; did you mean '--drain'\?/],
  [['alerts', 'list', '--sinse', '1h'], /there is no option '--sinse' here; did you mean '--since'\?/],
  [['run', 'good.yaml', '--listen', '127.0.0.1:99999'], /--listen: '127\.0\.0\.1:99999' is not an address to listen on/],
  [['run', 'good.yaml', '--listen', 'example.org:80'], /--listen: .*'example\.org' is not a numeric address/],
  [['run', 'good.yaml', '--listen'], /--listen/],
  [['run', 'good.yaml', '--drain', '5'], /^millrace run: --drain: expected a duration with its unit.*got '5'/],
  [['run', 'good.yaml', '--data', ''], /--data: a name was expected, got nothing/],
  [['token', '--data', ''], /--data: a name was expected, got nothing/],
  [['alerts', 'list', '--data', ''], /--data: a name was expected, got nothing/],
  [['check'], /PATH is required/],
  [['check', 'good.yaml', '--format', 'xml'], /--format: xml/],
  [['test'], /PATH is required/],
  [['test', 'good.yaml', '--format', 'tap'], /--format: tap/],
  [['replay', 'good.yaml', '--input', 'good.yaml', '--nonsense'], /--nonsense/],
  [['replay', 'good.yaml', '--from', '-1h', '--to', '-2h'], /--to 20\S+Z is not later than --from 20\S+Z/],
  [['replay', 'good.yaml', '--from', '2026-03-01', '--to', '2026-03-01'], /--to 2026-03-01T00:00:00Z is not later than --from/],
  [['plugins', 'emulatr'], /unknown plugin 'emulatr'; did you mean 'emulator'\?/],
  [['plugins', '--format', 'yaml'], /--format: yaml/],
  [['plugins', 'emulator', 'console'], /console/],
  [['schema', 'more'], /more/],
  [['graph'], /PATH is required/],
  [['graph', 'good.yaml', '--format', 'png'], /--format: png/],
  [['alerts'], /subcommand is required/],
  [['alerts', 'lits'], /there is no command 'lits'; did you mean 'list'\?/],
  [['alerts', 'list', '--format', 'xml'], /--format: xml/],
  [['emulate', '--nonsense'], /--nonsense/],
  [['emulate', '--broker', 'http://127.0.0.1'], /--broker: .*unknown scheme/],
  [['emulate', '--qos', '3'], /--qos: expected at most 2, got '3'/],
  [['emulate', '--qos', 'once'], /--qos: expected an integer, got 'once'/],
  [['emulate', '--devices', '0'], /--devices: expected at least 1, got '0'/],
  [['emulate', '--devices', '-1'], /--devices: expected an integer, got '-1'/],
  [['emulate', '--interval', '10'], /--interval: expected a duration with its unit.*got '10'/],
  [['emulate', '--anomaly', 'often'], /--anomaly: expected a duration with its unit.*got 'often'/],
  [['emulate', '--anomaly', '1s', '--interval', '0s'], /--interval: expected at least 1ms/],
  [['emulate', '--profile', 'boat'], /--profile: expected one of getstarted, vehicle, .*got 'boat'/],
  [['emulate', '--seed', 'x'], /--seed: expected an integer, got 'x'/],
  [['emulate', '--count', '1.5'], /--count: expected an integer, got '1\.5'/],
  [['emulate', '--topic', 'a/#'], /--topic: /],
  [['emulate', '--ca', 'absent.pem'], /--ca: .*absent\.pem/],
  [['emulate', '--password-file', 'absent'], /--password-file: .*absent/],
  [['emulate', '--ca', 'good.yaml'], /--ca: tls is given, but the broker's address is not mqtts/],
  [['token', '--ttl', 'soon'], /--ttl: expected a duration.*got 'soon'/],
  [['token', '--right', 'everything'], /--right/],
];

// [arguments, words on standard error or output]
const FAILURES = [
  [['run', 'absent.yaml'], /absent\.yaml: cannot read the file/],
  [['run', 'bad.yaml'], /bad\.yaml:3:13: unknown plugin 'emulatr'/],
  [['check', 'bad.yaml', 'absent.yaml'], /bad\.yaml:3:13: .*\n.*absent\.yaml: cannot read the file/],
  [['test', 'bad.yaml'], /bad\.yaml:3:13: /],
  [['graph', 'bad.yaml'], /bad\.yaml:3:13: /],
];

// What is no file, or none that ends: never read, never waited for.
const NO_FILES = [
  [['check', 'pipe'], /pipe: cannot read the file: it is a pipe, not a file/],
  [['check', '/dev/zero'], /\/dev\/zero: cannot read the file: it is a device, not a file/],
  [['check', 'huge.yaml'], /huge\.yaml: cannot read the file: it is larger than 1000000B/],
  [['check', 'empty'], /empty: there is no pipeline file \(\*\.yaml, \*\.yml\) in it/],
  [['check', 'of_pipes.yaml'], /of_pipes\.yaml:3:14: cannot read the file '[^']*pipe': it is a pipe(.*\n)*.*:4:27: cannot read the file .*it is a pipe/],
  [['check', 'tls.yaml'], /tls\.yaml:1:44: tls: cert '[^']*pipe' is not a readable PEM certificate chain: it is a pipe/],
  [['run', 'pipe'], /pipe: cannot read the file: it is a pipe/],
  [['replay', 'good.yaml', '--input', 'empty'], /cannot read the recording 'empty'/],
  [['run', 'empty'], /empty: there is no pipeline file/],
  [['test', 'pipe'], /pipe: cannot read the file: it is a pipe/],
  [['graph', 'pipe'], /pipe: cannot read the file: it is a pipe/],
  [['replay', 'pipe', '--input', 'good.yaml'], /pipe: cannot read the file: it is a pipe/],
];

for (const [args, words] of WRONG_USE) {
  test(`millrace ${args.join(' ')}: wrong use`, async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, 'good.yaml'), GOOD);
    const { code, stdout, stderr } = await millrace(t, args, { cwd });
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /pipeline\.yaml/);
    assert.equal(stdout, '');
    assert.equal(code, 2);
  });
}

for (const [args, words] of FAILURES) {
  test(`millrace ${args.join(' ')}: failure`, async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, 'bad.yaml'), GOOD.replace('emulator', 'emulatr'));
    const { code, stdout, stderr } = await millrace(t, args, { cwd });
    assert.match(stdout + stderr, words);
    assert.equal(code, 1);
  });
}

for (const [args, words] of NO_FILES) {
  test(`millrace ${args.join(' ')}: no file`, async (t) => {
    const cwd = temporaryFolder(t);
    execFileSync('mkfifo', [join(cwd, 'pipe')]);
    mkdirSync(join(cwd, 'empty'));
    writeFileSync(join(cwd, 'good.yaml'), GOOD);
    writeFileSync(join(cwd, 'huge.yaml'), `name: huge\n#${' '.repeat(20 << 20)}\n`);
    writeFileSync(
      join(cwd, 'of_pipes.yaml'),
      'stages:\n  - plugin: emulator\n    profile: ${file:pipe}\n  - {plugin: lua, script: pipe}\n  - plugin: null_sink\n',
    );
    writeFileSync(join(cwd, 'tls.yaml'), `listen: {address: 127.0.0.1:0, tls: {cert: pipe, key: pipe}}\n${GOOD}`);
    const { code, stdout, stderr } = await millrace(t, args, { cwd });
    assert.match(stdout + stderr, words);
    assert.equal(code, 1);
  });
}

test('what a file or a name holds does not drive the terminal, and what came from another file is not shown', async (t) => {
  const cwd = temporaryFolder(t);
  writeFileSync(join(cwd, 'secret'), 'correct-horse\n');
  writeFileSync(join(cwd, 'p.yaml'), 'name: "\\e[2J"\nstages:\n  - {id: "${file:secret}", plugin: "${file:secret}"}\n  - {plugin: mqtt_source, topics: [a], broker: "${file:secret}"}\n  - {plugin: null_sink, from: "${file:secret}"}\n');
  const { code, stderr } = await millrace(t, ['check', 'p.yaml', 'a\x1b[31m.yaml'], { cwd });
  assert.equal(code, 1);
  assert.doesNotMatch(stderr, /\x1b/);
  assert.match(stderr, /1:7: '\\x1b\[2J' is not a name/);
  assert.match(stderr, /a\\x1b\[31m\.yaml: cannot read the file/);
  assert.match(stderr, /unknown plugin 'a secret'/);
  assert.match(stderr, /broker 'a secret'/);
  assert.doesNotMatch(stderr, /correct-horse/);
  const run = await millrace(t, ['run', 'p.yaml'], { cwd });
  assert.doesNotMatch(run.stderr, /correct-horse|\x1b/);
});

test('where nothing can run, no data folder is made', async (t) => {
  const cwd = temporaryFolder(t);
  mkdirSync(join(cwd, 'empty'));
  assert.equal((await millrace(t, ['run', 'absent.yaml', 'empty'], { cwd })).code, 1);
  assert.ok(!existsSync(join(cwd, 'millrace-data')));
});

test('a token from keys that were not there says which file it made: a folder wrongly typed gives one that nobody takes', async (t) => {
  const cwd = temporaryFolder(t);
  const first = await millrace(t, ['token', '--data', 'dat'], { cwd });
  assert.equal(first.code, 0);
  assert.match(first.stderr, /made new keys in dat\/token\.keys/);
  const second = await millrace(t, ['token', '--data', 'dat'], { cwd });
  assert.equal(second.code, 0);
  assert.equal(second.stderr, '');
});

test('run tells what is wrong in the order of the file', async (t) => {
  const cwd = temporaryFolder(t);
  writeFileSync(join(cwd, 'p.yaml'), 'stages:\n  - {plugin: emulator, sede: 1}\n  - {plugin: lua, from: nobody}\n  - {plugin: null_sink, x: 1}\n');
  const { stderr } = await millrace(t, ['run', 'p.yaml'], { cwd });
  const lines = [...stderr.matchAll(/p\.yaml:(\d+):(\d+)/g)].map(([, line, column]) => Number(line) * 1000 + Number(column));
  assert.ok(lines.length >= 4, stderr);
  assert.deepEqual(lines, [...lines].sort((a, b) => a - b));
});

test('help and version are results, and no wrong use', async (t) => {
  for (const args of [['--help'], ['run', '--help'], ['--version']]) {
    const { code, stdout, stderr } = await millrace(t, args);
    assert.equal(code, 0);
    assert.notEqual(stdout, '');
    assert.equal(stderr, '');
  }
});
