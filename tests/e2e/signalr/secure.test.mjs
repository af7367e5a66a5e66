// The official client over https and wss, with every transport and hub protocol, by a certificate of an authority that it is told
// to trust.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { HttpTransportType } from '@microsoft/signalr';
import { WebSocket } from 'ws';
import { certificates } from '../support/certificates.mjs';
import { Child } from '../support/process.mjs';
import { until } from '../support/wait.mjs';
import { TestHub, combinations, nameOf } from './hub_client.mjs';

const VISITOR = join(dirname(fileURLToPath(import.meta.url)), 'secure_visitor.mjs');

test('every transport and hub protocol, cookies and redirects go over TLS', async (t) => {
  const { folder } = certificates(t);
  const hub = await TestHub.start(t, { tls: { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` } });
  const visitor = new Child(t, process.execPath, [VISITOR, hub.secure], { env: { NODE_EXTRA_CA_CERTS: `${folder}/ca.pem` } });
  const { code, stdout, stderr } = await visitor.end();
  assert.equal(code, 0, stderr);
  const expected = combinations.map((combination) => ({
    name: nameOf(combination),
    transport: HttpTransportType[combination.transport],
    echo: 'žluť',
    cookies: ['testValue', 'testValue2', null],
  }));
  for (const name of ['WebSockets', 'LongPolling']) expected.push({ name: `redirected to ${name}`, echo: 'redirected' });
  expected.push({ name: 'redirect of HTTP', location: `${hub.secure}/echo/negotiate` });
  assert.deepEqual(stdout.trim().split('\n').map((line) => JSON.parse(line)), expected);
});

test('what a slow client is sent over TLS stays whole, though other things come in place of what waited', async (t) => {
  const { folder } = certificates(t);
  const hub = await TestHub.start(t, { client_queue: 8192, client_timeout: 600_000, secure: true, tls: { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` } });
  const socket = new WebSocket(`${hub.secure.replace('https', 'wss')}/testhub/ws`, { ca: readFileSync(`${folder}/ca.pem`) });
  t.after(() => socket.terminate());
  const lines = [];
  let broken;
  socket.on('message', (data) => lines.push(JSON.parse(data)));
  socket.on('error', (error) => (broken = error));
  socket.on('close', (code) => (broken ??= new Error(`closed with ${code}`)));
  await once(socket, 'open');
  let value = 0;
  for (let round = 0; round < 3; ++round) {
    socket.pause();
    const conflated = (await hub.figures()).conflated;
    const behind = async () => (await hub.publish({ device: 'a', value: ++value, pad: 3000 })).conflated > conflated;
    await until('the client to be behind', behind, { everyMs: 0 });
    // There is room for it only where all that waits makes way, what the socket has just refused among it.
    await hub.publish({ device: 'a', value: ++value, pad: 7000, kind: 'alert' });
    socket.resume();
    await until('the alert', () => broken || lines.some((line) => line.target === 'alert' && line.value === value));
    assert.equal(broken, undefined);
  }
  assert.equal((await hub.figures()).ended_slow, 0);
});

test('a client that was not told to trust the authority does not connect', async (t) => {
  const { folder } = certificates(t);
  const hub = await TestHub.start(t, { tls: { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` } });
  await assert.rejects(fetch(`${hub.secure}/testhub/negotiate?negotiateVersion=1`, { method: 'POST' }), (error) =>
    /unable to (get|verify)/.test(String(error.cause)),
  );
});
