// What clients expect around a hub: cookies, redirects, headers, calls of one client by its id, bytes without a hub protocol.
import assert from 'node:assert/strict';
import test from 'node:test';
import { HttpTransportType } from '@microsoft/signalr';
import { WebSocket } from 'ws';
import { TestHub, client, deferred, started } from './hub_client.mjs';

const { WebSockets, ServerSentEvents, LongPolling } = HttpTransportType;
const base = (hub) => `http://${hub.address}`;

for (const transport of [WebSockets, ServerSentEvents, LongPolling]) {
  const name = HttpTransportType[transport];

  test(`${name}: cookies of the negotiation come back, expired ones do not`, async (t) => {
    const connection = await started(t, await TestHub.start(t), { transport });
    assert.equal(await connection.invoke('GetCookie', 'testCookie'), 'testValue');
    assert.equal(await connection.invoke('GetCookie', 'testCookie2'), 'testValue2');
    assert.equal(await connection.invoke('GetCookie', 'expiredCookie'), null);
  });

  test(`${name}: headers of the application arrive`, async (t) => {
    const connection = await started(t, await TestHub.start(t), { transport, headers: { 'X-Tenant': 'plant', 'User-Agent': 'mine' } });
    assert.equal(await connection.invoke('GetHeader', 'X-Tenant'), 'plant');
    assert.equal(await connection.invoke('GetHeader', 'User-Agent'), 'mine');
    assert.equal(await connection.invoke('GetHeader', 'X-Absent'), null);
  });

  test(`${name}: a refused negotiation shows its status`, async (t) => {
    const hub = await TestHub.start(t);
    await assert.rejects(client(t, { url: `${base(hub)}/authorizedhub` }, { transport }).start(), /Unauthorized: Status code '401'/);
    await assert.rejects(client(t, { url: `${base(hub)}/bad-negotiate` }, { transport }).start(), /Some response from server: Status code '400'/);
  });

  for (const messagepack of transport === ServerSentEvents ? [false] : [false, true]) {
    test(`${name}, ${messagepack ? 'messagepack' : 'json'}: a request elsewhere calls a client and gets its answer`, async (t) => {
      const hub = await TestHub.start(t);
      const connection = await started(t, hub, { transport, messagepack });
      const ask = async () => (await fetch(`${base(hub)}/clientresult/${connection.connectionId}`)).text();
      assert.equal(await ask(), "Client didn't provide a result.");
      connection.on('Result', () => 10);
      assert.equal(await ask(), '10');
      connection.on('Result', () => 11);
      assert.equal(await ask(), 'Client provided multiple results.');
      connection.off('Result');
      connection.on('Result', () => {
        throw new Error('from callback');
      });
      assert.equal(await ask(), 'Error: from callback');
    });
  }
}

test('a WebSocket without a hub protocol gets back what it sends, and a clean close', async (t) => {
  const hub = await TestHub.start(t);
  const socket = new WebSocket(`ws://${hub.address}/echo`);
  t.after(() => socket.terminate());
  const heard = deferred();
  const closed = deferred();
  socket.on('open', () => socket.send('message'));
  socket.on('message', (data) => heard.resolve(data.toString()));
  socket.on('close', closed.resolve);
  assert.equal(await heard.promise, 'message');
  socket.close();
  assert.equal(await closed.promise, 1000);
});

test('polls without a hub protocol get back what is posted, with the cookie of the negotiation only', async (t) => {
  const hub = await TestHub.start(t);
  const url = `${base(hub)}/echo`;
  for (const headers of [{ Cookie: 'testCookie=testValue' }, {}]) {
    const { connectionToken } = await (await fetch(`${url}/negotiate?negotiateVersion=1`, { method: 'POST' })).json();
    const at = `${url}?id=${connectionToken}`;
    assert.equal((await fetch(at, { headers })).status, 200);
    if (headers.Cookie) {
      assert.equal((await fetch(at, { method: 'POST', body: 'message' })).status, 200);
      assert.equal(await (await fetch(at)).text(), 'message');
    } else {
      assert.equal((await fetch(at)).status, 204);
    }
  }
});

test('a redirect of HTTP names its target in full', async (t) => {
  const hub = await TestHub.start(t);
  const answer = await fetch(`${base(hub)}/echoredirect/negotiate?negotiateVersion=1`, { method: 'POST', redirect: 'manual' });
  assert.equal(answer.status, 307);
  assert.equal(answer.headers.get('location'), `${base(hub)}/echo/negotiate?negotiateVersion=1`);
  const { connectionId } = await (await fetch(`${base(hub)}/echoredirect/negotiate`, { method: 'POST' })).json();
  assert.ok(connectionId);
});
