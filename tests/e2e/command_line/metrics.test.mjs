// The page at /metrics, with every plugin that there is at work, as Prometheus reads it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker } from '../support/broker.mjs';
import { critique } from '../support/exposition.mjs';
import { Instance } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';

const pipeline = (broker) => `
name: everything
record: 1h
stages:
  - {id: in, plugin: emulator, interval: 20ms}
  - {id: rule, plugin: lua, code: "function process(r) if r.messageId % 3 == 0 then error('no') end return r end"}
  - {id: out, plugin: mqtt_sink, broker: "${broker.url}", from: rule, on_full: spool}
  - {id: back, plugin: mqtt_source, broker: "${broker.url}", topics: ["devices/#"]}
  - {id: climate, plugin: alert, from: back, rules: {hot: {watch: {value: temperature}, above: -100, severity: info}}}
  - {id: live, plugin: signalr, from: [rule, climate], hub: /hub}
  - {id: phone, plugin: push, from: climate, to: "http://127.0.0.1:9/"}
  - {id: file, plugin: file_sink, path: out.jsonl, from: rule}
  - {id: nowhere, plugin: null_sink, from: back}
`;

test('Prometheus has nothing to complain about at /metrics', async (t) => {
  const broker = await Broker.start(t);
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline(broker) });
  await until('records everywhere', async () => {
    const counted = await Promise.all(['climate', 'nowhere', 'file'].map((stage) => instance.metric('millrace_stage_records_in_total', { stage })));
    return counted.every((count) => count > 10) && (await instance.metric('millrace_stage_script_errors_total', { stage: 'rule' })) > 0;
  });
  await until('a failed attempt', async () => (await instance.metric('millrace_stage_failed_attempts_total', { stage: 'phone' })) > 0);
  const response = await fetch(`${instance.url}/metrics`);
  assert.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  assert.deepEqual(critique(await response.text()), []);
});

test('the critic sees what is wrong', () => {
  const wrong = [
    ['a 1\n', 'a: no HELP'],
    ['# HELP millrace_a x\n# TYPE millrace_a counter\nmillrace_a 1\n', 'millrace_a: a counter'],
    ['# HELP millrace_a_total x\n# TYPE millrace_a_total gauge\nmillrace_a_total 1\n', 'millrace_a_total: a gauge'],
    ['# HELP millrace_a x\n# TYPE millrace_a gauge\nmillrace_a{b="c"d"} 1\n', 'millrace_a: labels that are none: b="c"d"'],
    ['# HELP millrace_a x\n# TYPE millrace_a gauge\nmillrace_a 1\nmillrace_a 1\n', 'millrace_a{}: twice'],
    ['# HELP millrace_a_percent x\n# TYPE millrace_a_percent gauge\nmillrace_a_percent 1\n', 'millrace_a_percent: percent is no base unit'],
  ];
  for (const [page, problem] of wrong) assert.ok(critique(page).includes(problem), `${problem}: ${critique(page)}`);
});
