// The client plane over TLS: the official SignalR client over https and wss, and what a certificate is refused for.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
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
