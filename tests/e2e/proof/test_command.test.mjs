// `millrace test`: what it takes, what it says of a failure, and what `check` says of mistakes in tests.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { millrace } from '../support/millrace.mjs';
import { temporaryFolder } from '../support/process.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));

const PIPELINE = `name: proof
stages:
  - {id: in, plugin: emulator}
  - id: climate
    plugin: alert
    rules:
      hot: {watch: {value: temperature}, above: 30, severity: critical}
  - {id: live, plugin: signalr, from: [in, climate]}
tests:
`;

function file(t, tests) {
  const path = join(temporaryFolder(t), 'proof.yaml');
  writeFileSync(path, PIPELINE + tests);
  return path;
}

test('every input and every expectation is taken', async (t) => {
  const { code, stdout } = await millrace(t, ['test', join(HERE, 'cases', 'inputs.yaml')]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /\n10 passed, 0 failed\n$/);
});

test('a failure shows the difference, what is nearest, and the timeline', async (t) => {
  const path = file(t, `
  - name: too late
    input: [{at: 0s, device: a, temperature: 20}, {at: 10s, device: a, temperature: 31}]
    expect: {alerts: [{rule: hot, to: FIRING, at: 11s}, {rule: hot, to: OK}], counts: {in: 3}}
  - name: well
    input: [{at: 0s, device: a, temperature: 20}]
    expect: {alerts: []}
  - name: not there
    input: [{at: 0s, device: a, temperature: 20}, {at: 5s, restart: {up: 6s}}, {at: 7s, ack: a, rule: absent}]
    expect: {alerts: []}
`);
  const { code, stdout } = await millrace(t, ['test', path]);
  assert.equal(code, 1);
  assert.match(stdout, /^FAIL .*: too late\n {2}alerts: expected 2, got 1\n {4}- \{rule: hot, to: FIRING, at: 11s\}\n/);
  assert.match(stdout, /nearest: +10s {2}climate {2}alert of a .*\n +'at' is 10s instead of 11s\n/);
  assert.match(stdout, /counts of 'in': expected 3, got 2\n/);
  assert.match(stdout, /timeline.*\n +0s {2}> \{at: 0s, device: a, temperature: 20\}\n +10s {2}> .*\n +10s {2}climate {2}alert of a /);
  assert.match(stdout, /ok .*: well\n/);
  assert.match(stdout, /proof\.yaml:18:\d+: .*absent/);
  assert.match(stdout, /\n1 passed, 2 failed\n$/);
});

test('the JUnit report is of the shape that others read', async (t) => {
  const path = file(t, `
  - {name: "a <name> & \\"more\\"", input: [{at: 0s, device: a, temperature: 31}], expect: {alerts: []}}
  - {name: good, input: [{at: 0s, device: a}], expect: {alerts: []}}
`);
  copyFileSync(path, join(dirname(path), 'again.yaml'));
  const { code, stdout } = await millrace(t, ['test', '--format', 'junit', dirname(path)]);
  assert.equal(code, 1);
  const report = join(dirname(path), 'report.xml');
  writeFileSync(report, stdout);
  execFileSync('xmllint', ['--noout', '--schema', join(HERE, 'junit.xsd'), report], { stdio: ['ignore', 'ignore', 'pipe'] });
  const value = (path) => execFileSync('xmllint', ['--xpath', `string(${path})`, report], { encoding: 'utf8' }).trim();
  assert.equal(value('/testsuites/@tests'), '4');
  assert.equal(value('/testsuites/@failures'), '2');
  assert.equal(value('count(/testsuites/testsuite)'), '2');
  assert.equal(value('/testsuites/testsuite[1]/testcase[1]/@name'), 'a <name> & "more"');
  assert.match(value('/testsuites/testsuite[1]/testcase[1]/failure/@message'), /alerts: expected 0, got 1/);
  assert.match(value('/testsuites/testsuite[1]/testcase[1]/failure'), /timeline/);
});

// [what, the test's input and expect, line, words]
const MISTAKES = [
  ['an unknown key of a test', 'input: [], expect: {}, exepct: {}', /exepct.*did you mean 'expect'/],
  ['an unknown expectation', 'input: [], expect: {alert: []}', /alert.*did you mean 'alerts'/],
  ['an unknown member of an alert', 'input: [], expect: {alerts: [{rul: hot}]}', /'rul'.*did you mean 'rule'/],
  ['an unknown member under not', 'input: [], expect: {not: {notifications: [{typ: firing}]}}', /'typ'.*did you mean 'type'/],
  ['a row that is no map', 'input: [], expect: {has: {clients: [alert]}}', /expected a row/],
  ['a bare number for a time', 'input: [], expect: {alerts: [{at: 20}]}', /'at'.*duration/],
  ['a stage that is not there', 'input: [], expect: {outputs: {climat: []}}', /'climat'.*did you mean 'climate'/],
  ['a count of a stage that is not there', 'input: [], expect: {counts: {lives: 1}}', /'lives'.*did you mean 'live'/],
  ['an input without its time', 'input: [{device: a}], expect: {}', /'at'.*missing/],
  ['an input at a bare number', 'input: [{at: 5, device: a}], expect: {}', /'at'.*duration from the start/],
  ['an unknown member of a control', 'input: [{at: 1s, ack: a, ruel: hot}], expect: {}', /'ruel'.*did you mean 'rule'/],
  ['an unknown control', 'input: [{tikc: 20s}], expect: {}', /neither a record.*did you mean 'tick'/],
  ['an outage of a stage that is no sink', 'input: [{at: 1s, outage: climate, to: 2s}], expect: {}', /no sink 'climate'/],
  ['a source that is not there', 'input: [{at: 1s, device: a, into: inn}], expect: {}', /no source 'inn'.*did you mean 'in'/],
  ['a reload of a file that is not there', 'input: [{at: 1s, reload: absent.yaml}], expect: {}', /absent\.yaml.*cannot read/],
  ['an input before the one above it', 'input: [{at: 2s, device: a}, {at: 1s, device: a}], expect: {}', /order of time/],
];

for (const [what, body, words] of MISTAKES) {
  test(`${what} is reported with its place`, async (t) => {
    const path = file(t, `  - {name: wrong, ${body}}\n`);
    for (const [command, text] of [['check', 'stderr'], ['test', 'stdout']]) {
      const result = await millrace(t, [command, path]);
      assert.equal(result.code, 1, `${command} took it`);
      assert.match(result[text], new RegExp(`proof\\.yaml:10:\\d+: .*${words.source}`));
    }
  });
}
