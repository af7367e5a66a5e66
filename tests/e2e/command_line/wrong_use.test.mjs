// What a person can type wrongly, command by command: status 2, and a text on standard error that names what was typed. What
// was typed rightly and fails all the same is status 1.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
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
  [['run', 'good.yaml', '--nonsense'], /--nonsense/],
  [['run', 'good.yaml', '--listen', '127.0.0.1:99999'], /--listen: '127\.0\.0\.1:99999' is not an address to listen on/],
  [['run', 'good.yaml', '--listen', 'example.org:80'], /--listen: .*'example\.org' is not a numeric address/],
  [['run', 'good.yaml', '--listen'], /--listen/],
  [['run', 'good.yaml', '--drain', '5'], /--drain: expected a duration with its unit/],
  [['check'], /PATH is required/],
  [['check', 'good.yaml', '--format', 'xml'], /--format: xml/],
  [['test'], /PATH is required/],
  [['test', 'good.yaml', '--format', 'tap'], /--format: tap/],
  [['replay', 'good.yaml', '--input', 'good.yaml', '--nonsense'], /--nonsense/],
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
  [['token', '--ttl', 'soon'], /--ttl: /],
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

test('help and version are results, and no wrong use', async (t) => {
  for (const args of [['--help'], ['run', '--help'], ['--version']]) {
    const { code, stdout, stderr } = await millrace(t, args);
    assert.equal(code, 0);
    assert.notEqual(stdout, '');
    assert.equal(stderr, '');
  }
});
