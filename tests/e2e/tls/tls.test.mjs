// The client plane over TLS: the official SignalR client over https and wss, and what a certificate is refused for.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import * as signalR from '@microsoft/signalr';
import WebSocket from 'ws';
import { Broker } from '../support/broker.mjs';
import { certificates } from '../support/certificates.mjs';
import { Instance, MILLRACE, millrace } from '../support/millrace.mjs';
import { Child } from '../support/process.mjs';
import { until } from '../support/wait.mjs';

const pipeline = (folder) => `
name: secure
listen: {address: 127.0.0.1:0, tls: {cert: ${folder}/cert.pem, key: ${folder}/key.pem}}
stages:
  - {plugin: emulator, devices: 1, interval: 20ms}
  - {id: live, plugin: signalr}
`;

const get = (url, options) =>
  new Promise((resolve, reject) => {
    https.get(url, { agent: false, ...options }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text) => (body += text));
      const peer = answer.socket.getPeerCertificate?.().subject?.CN;
      answer.on('end', () => resolve({ status: answer.statusCode, body, peer, protocol: answer.socket.getProtocol?.() }));
    }).on('error', reject);
  });

async function start(t, certs) {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': pipeline(certs.folder) });
  instance.url = `https://${instance.address}`;
  instance.launch();
  await until(
    () => `the instance to be ready; it said:\n${instance.child.stderr}`,
    async () => (await get(`${instance.url}/readyz`, { ca: certs.ca })).status === 200,
  );
  return instance;
}

test('the official client negotiates over https and receives over wss', async (t) => {
  const certs = certificates(t);
  const instance = await start(t, certs);
  await instance.child.says(new RegExp(`page https://${instance.address.replaceAll('.', '\\.')}/`));
  // The client takes no authority as an option in node: its two ways out get one here.
  class Trusting extends WebSocket {
    constructor(url, protocols, options) {
      super(url, protocols, { ...options, ca: certs.ca });
    }
  }
  class OverHttps extends signalR.HttpClient {
    async send(request) {
      const body = await new Promise((resolve, reject) => {
        const sent = https.request(request.url, { method: request.method, headers: request.headers, ca: certs.ca, agent: false }, (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (part) => (text += part));
          answer.on('end', () => resolve(new signalR.HttpResponse(answer.statusCode, answer.statusMessage, text)));
        });
        sent.on('error', reject);
        sent.end(request.content);
      });
      return body;
    }
  }
  const client = new signalR.HubConnectionBuilder()
    .withUrl(`${instance.url}/hubs/telemetry`, { WebSocket: Trusting, httpClient: new OverHttps() })
    .configureLogging(signalR.LogLevel.None)
    .build();
  t.after(() => client.stop());
  let latest;
  client.on('telemetry', (records) => (latest = records.at(-1)));
  await client.start();
  await until('telemetry over wss', () => latest?.device === 'AZ3166-1');
  await client.stop();
  await instance.down();
});

test('modern TLS only, and nothing in plain text on the same port', async (t) => {
  const certs = certificates(t);
  const instance = await start(t, certs);
  const health = await get(`${instance.url}/healthz`, { ca: certs.ca });
  assert.equal(health.status, 200);
  assert.match(health.protocol ?? 'TLSv1.3', /^TLSv1\.[23]$/);
  await assert.rejects(get(`${instance.url}/healthz`, { ca: certs.ca, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }));
  await assert.rejects(get(`${instance.url}/healthz`, {}), /self.signed|unable to (get|verify)/);
  await assert.rejects(fetch(`http://${instance.address}/healthz`));
  assert.equal((await get(`${instance.url}/healthz`, { ca: certs.ca })).status, 200, 'and it goes on');
  await instance.down();
});

test('files that are no certificate are named before anything is served', async (t) => {
  const certs = certificates(t);
  const instance = await Instance.prepare(t, { 'pipeline.yaml': pipeline(certs.folder).replace('/cert.pem', '/server.csr') });
  const { code, stderr } = await millrace(t, ['run', instance.path('pipeline.yaml'), '--data', instance.data]);
  assert.equal(code, 1);
  assert.match(stderr, /server\.csr' is not a readable PEM certificate chain/);
});

test('a renewed certificate is taken up for new connections; a broken one is not, and those that are there go on', async (t) => {
  const certs = certificates(t);
  const instance = await start(t, certs);
  const peer = async () => (await get(`${instance.url}/healthz`, { ca: certs.ca })).peer;
  assert.equal(await peer(), 'server');
  const socket = new WebSocket(`wss://${instance.address}/hubs/telemetry`, { ca: certs.ca });
  t.after(() => socket.terminate());
  let received = 0;
  socket.on('message', () => ++received);
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  socket.send('{"protocol":"json","version":1}\u001e');
  await until('telemetry', () => received > 2);

  certs.issue('renewed');
  instance.child.process.kill('SIGHUP');
  await until('the renewed certificate', async () => (await peer()) === 'renewed');
  await instance.child.says(/new connections get the renewed certificate/);

  writeFileSync(`${certs.folder}/cert.pem`, 'no certificate');
  instance.child.process.kill('SIGHUP');
  await instance.child.says(/cert\.pem' is not a readable PEM/);
  assert.equal(await peer(), 'renewed');
  const before = received;
  await until('more over the first connection', () => received > before + 5);
  assert.equal(socket.readyState, WebSocket.OPEN);

  certs.issue('mended');
  await until('the mended certificate', async () => (await peer()) === 'mended');
  await instance.down();
});

test('an MQTT client takes up its renewed certificate, and loses nothing over it', async (t) => {
  const certs = certificates(t);
  const at = (name) => `${certs.folder}/${name}`;
  certs.issue('first', 'client.pem', 'client.key');
  const broker = await Broker.start(t, {
    scheme: 'mqtts',
    host: 'localhost',
    more: [`cafile ${at('ca.pem')}`, `certfile ${at('cert.pem')}`, `keyfile ${at('key.pem')}`, 'require_certificate true', 'use_identity_as_username true'],
  });
  const instance = await Instance.start(t, {
    'pipeline.yaml': `
name: renewed
stages:
  - id: devkit
    plugin: mqtt_source
    broker: ${broker.url}
    tls: {ca: ${at('ca.pem')}, cert: ${at('client.pem')}, key: ${at('client.key')}}
    topics: [devices/#]
  - {plugin: null_sink}
`,
  });
  await broker.child.says(/New client connected from \S+ as millrace-renewed-devkit \([^)]*u'first'/);
  certs.issue('second', 'client.pem', 'client.key');
  instance.child.process.kill('SIGHUP');
  await broker.child.says(/New client connected from \S+ as millrace-renewed-devkit \([^)]*u'second'/);
  await instance.child.says(/renewed: reloaded/);
  await instance.down();
});

test("check tells what is wrong with an MQTT client's files, with line and column; a run goes on trying, a test does without them", async (t) => {
  const { folder, issue } = certificates(t);
  issue('client', 'client.pem', 'client.key');
  issue('other', 'other.pem', 'other.key');
  execFileSync('openssl', ['ec', '-in', 'client.key', '-aes128', '-passout', 'pass:word', '-out', 'sealed.key'], { cwd: folder, stdio: 'pipe' });
  execFileSync('bash', ['-c', 'cat client.pem client.key > both.pem'], { cwd: folder });
  const file = join(folder, 'p.yaml');
  const write = (tls, plugin = 'mqtt_source') => {
    const source = plugin === 'mqtt_source' ? '' : '  - {plugin: emulator}\n';
    const sink = plugin === 'mqtt_source' ? '  - {plugin: null_sink}\n' : '';
    const more = plugin === 'mqtt_source' ? ', topics: [a]' : '';
    writeFileSync(
      file,
      `name: p\nstages:\n${source}  - {plugin: ${plugin}, broker: "mqtts://127.0.0.1:1"${more}, tls: {${tls}}}\n${sink}` +
        'tests:\n  - {name: nothing, input: [{at: 0s, device: a}], expect: {alerts: []}}\n',
    );
    return readFileSync(file, 'utf8').split('\n').findIndex((line) => line.includes('tls:')) + 1;
  };
  const cases = [
    ['ca: absent.pem', ['absent.pem', /tls\.ca '.*absent\.pem' cannot be read: No such file/]],
    ['ca: p.yaml', ['p.yaml', /tls\.ca '.*p\.yaml' holds no certificates/]],
    ['ca: ca.pem, cert: client.pem, key: other.key', ['other.key', /tls\.key '.*other\.key' holds no key.* that belongs to '.*client\.pem'/]],
    ['cert: client.pem, key: sealed.key', ['sealed.key', /tls\.key '.*sealed\.key' holds no key, readable without a pass phrase/]],
    ['cert: client.pem', ['client.pem', /tls\.cert '.*client\.pem' holds no key of its own/]],
    ['ca: absent.pem, cert: client.pem, key: absent.key', ['absent.pem', /tls\.ca/], ['absent.key', /tls\.key '.*absent\.key' cannot be read/]],
  ];
  for (const plugin of ['mqtt_source', 'mqtt_sink']) {
    for (const [tls, ...expected] of cases) {
      const line = write(tls, plugin);
      const text = readFileSync(file, 'utf8').split('\n')[line - 1];
      const { code, stdout } = await millrace(t, ['check', '--format', 'json', file]);
      const problems = JSON.parse(stdout);
      assert.equal(code, 1, stdout);
      assert.deepEqual(problems.map((p) => [p.line, p.column]), expected.map(([at]) => [line, text.indexOf(at) + 1]), stdout);
      expected.forEach(([, words], i) => assert.match(problems[i].what, words));
      const tried = await millrace(t, ['test', file]);
      assert.equal(tried.code, 0, tried.stdout + tried.stderr);
    }
    for (const tls of ['ca: ca.pem', 'ca: ca.pem, cert: client.pem, key: client.key', 'cert: both.pem']) {
      write(tls, plugin);
      const { code, stderr } = await millrace(t, ['check', file]);
      assert.equal(code, 0, stderr);
    }
  }
  write('ca: late.pem');
  const child = new Child(t, MILLRACE, ['run', file, '--data', join(folder, 'data'), '--listen', '127.0.0.1:0'], { cwd: folder });
  await child.says(/tls\.ca '.*late\.pem' cannot be read: No such file/);
  copyFileSync(join(folder, 'ca.pem'), join(folder, 'late.pem'));
  await child.says(/reloaded[\s\S]*cannot be reached: nobody answers there/);
  await child.kill();
});

test('a key behind a pass phrase is refused, and nobody is asked for it on the terminal', async (t) => {
  const { folder } = certificates(t);
  execFileSync('openssl', ['ec', '-in', 'key.pem', '-aes128', '-passout', 'pass:word', '-out', 'sealed.key'], { cwd: folder, stdio: 'pipe' });
  for (const [name, text, place, words] of [
    ['listener', `listen: {address: 127.0.0.1:0, tls: {cert: cert.pem, key: sealed.key}}\nstages:\n  - {plugin: emulator}\n  - {plugin: null_sink}\n`, '1:59', /is not a readable PEM key: it is behind a pass phrase/],
  ]) {
    writeFileSync(join(folder, `${name}.yaml`), text);
    // With a terminal of its own, of which it could ask.
    const child = new Child(t, 'script', ['--quiet', '--return', '--command', `'${MILLRACE}' check ${name}.yaml`, '/dev/null'], { cwd: folder, stdin: 'pipe' });
    const { code, stdout } = await child.end(60);
    assert.equal(code, 1, stdout);
    assert.match(stdout, new RegExp(`${name}\\.yaml:${place}: .*sealed\\.key' ${words.source}`));
  }
});
