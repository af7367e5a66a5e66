// A version that does not work costs those stages nothing that own something outside: a file, a hub's path, an MQTT client id, the
// state of alerts. They run on, or again, as they did.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { test } from 'node:test';
import { started } from '../signalr/hub_client.mjs';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance } from '../support/millrace.mjs';
import { Child } from '../support/process.mjs';
import { readings } from '../support/telemetry.mjs';
import { readJsonLines, until } from '../support/wait.mjs';
import { WebhookReceiver } from '../support/webhook.mjs';

const ids = (instance, file = 'out.jsonl') => readJsonLines(instance.path(file)).map((r) => r.messageId);
const oneToTheLast = (numbers) => assert.deepEqual(numbers, numbers.map((_, i) => i + 1));

test('a file_sink whose new path cannot be goes on with the old one, and empties nothing', async (t) => {
  const pipeline = (path) => `
name: filed
stages:
  - {id: devkit, plugin: emulator, devices: 1, interval: 5ms}
  - {id: kept, plugin: file_sink, path: ${path}, append: false}
`;
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline('out.jsonl') });
  await until('records', () => ids(instance).length > 20);
  for (const [path, why] of [['absent/out.jsonl', /make the folder first; the running version goes on/], ['data', /Is a directory; the running version goes on/]]) {
    instance.write('pipeline.yaml', pipeline(path));
    await instance.child.says(why);
    const before = ids(instance).length;
    await until('records to go on', () => ids(instance).length > before + 20);
  }
  oneToTheLast(ids(instance));
  await instance.down();
});

test('a file_sink with append: false keeps what it has written when its options change, and empties at the next start', async (t) => {
  const pipeline = (more, name = 'filed') => `
name: ${name}
stages:
  - {id: devkit, plugin: emulator, devices: 1, interval: 5ms}
  - {id: kept, plugin: file_sink, path: out.jsonl, append: false${more}}
`;
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline(''), 'out.jsonl': '{"messageId":-1}\n' });
  const goesOn = async () => {
    const before = ids(instance).length;
    await until('records to go on', () => ids(instance).length > before + 20);
  };
  await until('records', () => ids(instance).length > 20);
  assert.equal(ids(instance)[0], 1, 'the start has emptied it');
  instance.write('pipeline.yaml', pipeline(', sync: always'));
  await instance.child.says(/filed: reloaded/);
  await goesOn();
  oneToTheLast(ids(instance));

  const before = ids(instance).length;
  instance.write('pipeline.yaml', pipeline(', sync: always', 'renamed'));
  await instance.child.says(/renamed: restarted under its new name/);
  await goesOn();
  oneToTheLast(ids(instance).slice(0, before));
  await instance.down();

  const last = ids(instance).length;
  instance.write('pipeline.yaml', pipeline('').replace('5ms', '1h'));
  await instance.up();
  await until('the next start to empty it', () => ids(instance).length < last);
  await instance.down();
});

test('a file_source whose new file is not there reads on in the old one, and nothing twice', async (t) => {
  const pipeline = (path) => `
name: read
listen: 127.0.0.1:0
stages:
  - {id: file, plugin: file_source, path: ${path}, format: json}
  - {id: slow, plugin: file_sink, path: out.jsonl}
  - {id: more, plugin: emulator, interval: 1h}
  - {plugin: null_sink}
`;
  const lines = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => JSON.stringify({ messageId: from + i }) + '\n').join('');
  const instance = await Instance.prepare(t, { 'pipeline.yaml': pipeline('in.jsonl').replace('format: json', 'format: json, follow: true'), 'in.jsonl': lines(1, 100) });
  await instance.up();
  await until('the lines', () => ids(instance).length === 100);
  instance.write('pipeline.yaml', pipeline('absent.jsonl'));
  await instance.child.says(/cannot read .*absent\.jsonl: No such file or directory; the running version goes on/);
  appendFileSync(instance.path('in.jsonl'), lines(101, 150));
  await until('further lines', () => ids(instance).length >= 150);
  oneToTheLast(ids(instance));
  await instance.down();
});

test('a hub whose new path is taken is where it was', async (t) => {
  const pipeline = (hub) => `
name: live
stages:
  - {id: devkit, plugin: emulator, devices: 1, interval: 5ms}
  - {id: live, plugin: signalr, hub: ${hub}}
`;
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline('/hubs/telemetry') });
  const connection = await started(t, { url: `${instance.url}/hubs/telemetry` }, { reconnect: true });
  await until('telemetry', () => connection.records.length > 5);
  instance.write('pipeline.yaml', pipeline('/healthz'));
  await instance.child.says(/'\/healthz' is already served[^\n]*going back to the version that ran/);
  const before = connection.records.length;
  await until('telemetry to go on', () => connection.records.length > before + 5);
  assert.equal((await fetch(`${instance.url}/healthz`)).status, 200);
  await instance.down();
});

test('MQTT clients and alerts that are replaced for a version that is taken back lose nothing and tell nothing twice', async (t) => {
  const broker = await Broker.start(t);
  const pipeline = ({ changed = false, more = '' } = {}) => `
name: owners
stages:
  - {id: devkit, plugin: mqtt_source, broker: "${broker.url}", topics: [devices/+/messages/events/#], device: {field: deviceId}, catch_up: ${changed ? 1 : 2}m}
  - id: climate
    plugin: alert
    max_keys: ${changed ? 100 : 200}
    rules: {level: {watch: {value: humidity}, above: 0, severity: warning}}
  - {id: out, plugin: mqtt_sink, broker: "${broker.url}", topic: "out/{device}", from: devkit, keep_alive: ${changed ? 20 : 30}s}
  - {id: kept, plugin: file_sink, path: out.jsonl, from: devkit, envelope: ${changed}}
${more}`;
  const reader = new Child(t, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(broker.port), '-t', 'out/#', '-q', '1']);
  await broker.subscribed();
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline() });
  await broker.subscribed(2);
  const messages = readings({ count: 600, devices: 2 });
  const publisher = new Publisher(t, broker, 'devices/any/messages/events/');
  publisher.write(messages.slice(0, 200));
  await until('the first messages', () => ids(instance).length >= 200);
  const rows = async () => instance.query('select key, from_state, to_state from alert_event order by seq');
  await until('the alerts', async () => (await rows()).length >= 2);
  const raised = await rows();

  instance.write('pipeline.yaml', pipeline({ changed: true, more: '  - {id: rival, plugin: signalr, from: devkit, hub: /healthz}\n' }));
  publisher.write(messages.slice(200, 400));
  await instance.child.says(/going back to the version that ran/);
  publisher.write(messages.slice(400));
  await publisher.finish();
  const seen = () => new Set(readJsonLines(instance.path('out.jsonl')).map((r) => { const f = r.fields ?? r; return `${f.deviceId} ${f.messageId}`; }));
  const published = () => new Set(reader.stdout.split('\n').filter(Boolean).map((line) => { const f = JSON.parse(line); return `${f.deviceId} ${f.messageId}`; }));
  await until(() => `all in the file; ${seen().size} are; it said:\n${instance.child.stderr}`, () => seen().size === 600);
  await until(() => `all published; ${published().size} are; it said:\n${instance.child.stderr}`, () => published().size === 600);
  assert.deepEqual(await rows(), raised, 'the alerts go on as they were');
  await until('all to be connected', async () => (await fetch(`${instance.url}/readyz`)).status === 200);
  await instance.down();
});

test('a console that is replaced for a version that is taken back writes every line, once, in order', async (t) => {
  const pipeline = (more) => `
name: shown
stages:
  - {id: devkit, plugin: emulator, devices: 1, interval: 5ms}
  - {id: shown, plugin: console${more ? ', envelope: true' : ''}}
${more}`;
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline('') });
  const lines = () => instance.child.stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line));
  await until('records', () => lines().length > 20);
  instance.write('pipeline.yaml', pipeline('  - {id: rival, plugin: signalr, from: devkit, hub: /healthz}\n'));
  await instance.child.says(/going back to the version that ran/);
  const before = lines().length;
  await until('records to go on', () => lines().length > before + 20);
  assert.ok(!('fields' in lines().at(-1)), 'as the old version writes them');
  oneToTheLast(lines().map((r) => (r.fields ?? r).messageId));
  await instance.down();
});

test('what push could not deliver yet is not given up by a version that is taken back, even one without the target', async (t) => {
  let up = false;
  const webhook = await WebhookReceiver.start(t, { answer: () => ({ status: up ? 200 : 503 }) });
  const elsewhere = await WebhookReceiver.start(t);
  const pipeline = (url, more = '') => `
name: told
stages:
  - {id: devkit, plugin: emulator, devices: 3, interval: 20ms}
  - id: climate
    plugin: alert
    rules: {level: {watch: {value: humidity}, above: 0, severity: warning}}
  - {id: phone, plugin: push, to: "${url}/hook", retry: {first: 50ms, max: 200ms}}
${more}`;
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline(webhook.url) });
  await webhook.received(3);
  const rows = () => instance.query("select id, status from push_delivery order by id");
  const waiting = await rows();
  assert.deepEqual(waiting.map((row) => row.status), ['pending', 'pending', 'pending']);

  instance.write('pipeline.yaml', pipeline(elsewhere.url, '  - {id: rival, plugin: signalr, from: devkit, hub: /healthz}\n'));
  await instance.child.says(/going back to the version that ran/);
  up = true;
  await until(
    () => `all to be delivered; it said:\n${instance.child.stderr}`,
    async () => (await rows()).every((row) => row.status === 'delivered'),
  );
  assert.deepEqual((await rows()).map((row) => row.id), waiting.map((row) => row.id));
  assert.deepEqual(await instance.query('select * from dead_letter'), []);
  assert.equal(elsewhere.requests.length, 0);
  await instance.down();
});
