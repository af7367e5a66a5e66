// The official client over https and wss, with every transport and hub protocol, by a certificate of an authority that it is told
// to trust.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { HttpTransportType } from '@microsoft/signalr';
import { certificates } from '../support/certificates.mjs';
import { Child } from '../support/process.mjs';
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

test('a client that was not told to trust the authority does not connect', async (t) => {
  const { folder } = certificates(t);
  const hub = await TestHub.start(t, { tls: { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` } });
  await assert.rejects(fetch(`${hub.secure}/testhub/negotiate?negotiateVersion=1`, { method: 'POST' }), (error) =>
    /unable to (get|verify)/.test(String(error.cause)),
  );
});
