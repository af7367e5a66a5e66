// Stateful reconnect, as the official client does it: a cut connection loses and repeats nothing.
import assert from 'node:assert/strict';
import test from 'node:test';
import { WebSocket } from 'ws';
import { until } from '../support/wait.mjs';
import { CuttingProxy } from './cutting_proxy.mjs';
import { TestHub, deferred, started } from './hub_client.mjs';

const count = 10_000;
const numbers = [...Array(count).keys()];

/// A client behind a proxy.
async function proxied(t, hub, options) {
  const proxy = await CuttingProxy.start(t, hub.port);
  const connection = await started(t, { url: `http://127.0.0.1:${proxy.port}/testhub` }, { stateful: true, ...options });
  connection.lost = deferred();
  connection.onclose((error) => connection.lost.resolve(error ?? new Error('closed')));
  return { proxy, connection };
}

/// Numbers from the server as a stream of that many messages; `items` shows how far it is.
function stream(connection, length) {
  const items = [];
  const done = deferred();
  connection.stream('Count', length).subscribe({ next: (item) => items.push(item), error: done.reject, complete: done.resolve });
  connection.lost.promise.then(done.reject);
  return { items, done: done.promise };
}

for (const messagepack of [false, true]) {
  for (const unnoticed of [false, true]) {
    const name = `${messagepack ? 'messagepack' : 'json'}, ${unnoticed ? 'before the server has noticed' : 'seen by both sides'}`;
    test(`cut in the middle of ${count} messages each way: ${name}`, async (t) => {
      // Buffers for a part of it only, so that both sides also wait for acknowledgements.
      const hub = await TestHub.start(t, { replay: 40_000, message_rate: 100_000 });
      const { proxy, connection } = await proxied(t, hub, { messagepack, stateful: { bufferSize: 40_000 } });
      const { items, done } = stream(connection, count);
      let sent = 0;
      const sending = (async () => {
        for (; sent < count; ++sent) await connection.send('Collect', sent);
      })();
      let cuts = 0;
      for (const share of [0.1, 0.3, 0.5]) {
        await until(`${share} of it`, () => items.length > count * share || sent > count * share, { everyMs: 1 });
        assert.ok(items.length < count && sent < count);
        proxy.cut({ unnoticed });
        ++cuts;
        await until('it to go on', async () => (await hub.figures()).resumed === cuts);
      }
      await Promise.all([sending, done]);
      assert.deepEqual(items, numbers);
      assert.deepEqual(await connection.invoke('Collected'), numbers);
      const figures = await hub.figures();
      assert.equal(figures.resumed, 3);
      assert.equal(figures.clients, 1);
    });
  }
}

test('what is broadcast while a client is away reaches it once, in order', async (t) => {
  const hub = await TestHub.start(t, { client_queue: 4 << 20 });
  const { proxy, connection } = await proxied(t, hub);
  const id = connection.connectionId;
  let value = 0;
  for (let round = 0; round < 5; ++round) {
    for (let i = 0; i < 100; ++i) {
      if (i === 50) proxy.cut();
      ++value;
      await hub.publish({ device: 'a', value }, { device: 'a', value, kind: 'alert' });
    }
    await until('it to be back', () => connection.alerts.length === value);
  }
  const expected = Array.from({ length: value }, (_, i) => i + 1);
  assert.deepEqual(connection.records.map((r) => r.fields.value), expected);
  assert.deepEqual(connection.alerts.map((a) => a.value), expected);
  assert.equal(connection.connectionId, id);
});

test('a client that acknowledges nothing is paused, and costs no other client anything', async (t) => {
  const hub = await TestHub.start(t, { replay: 4096, client_queue: 8192, keep_alive: 200 });
  const quick = await started(t, hub);
  const { token, socket, heard } = await raw(t, hub);
  assert.ok(token);
  for (let value = 1; value <= 500; ++value) await hub.publish({ device: 'a', value, pad: 100 });
  await until('the other client', () => quick.records.at(-1)?.fields.value === 500);
  const figures = await hub.figures();
  assert.ok(figures.conflated > 400, `conflated ${figures.conflated}`);
  assert.equal(figures.ended_slow, 0);
  await until('the ping, which overtakes', () => heard.some((message) => message.type === 6));
  const before = heard.filter((message) => message.type === 1).length;
  assert.ok(before < 40, `${before} messages`);
  socket.send(`{"type":8,"sequenceId":${before}}\x1e`);
  const latest = () => heard.filter((message) => message.type === 1).at(-1).arguments[0].at(-1).fields.value;
  await until('some more', () => heard.filter((message) => message.type === 1).length > before);
  await until('the newest', () => {
    socket.send(`{"type":8,"sequenceId":${heard.filter((message) => message.type === 1).length}}\x1e`);
    return latest() === 500;
  });
});

test('it is offered only to who asks, and only where the hub allows it', async (t) => {
  const negotiated = async (hub, query) => (await fetch(`${hub.url}/negotiate?negotiateVersion=1${query}`, { method: 'POST' })).json();
  const hub = await TestHub.start(t);
  assert.equal((await negotiated(hub, '')).useStatefulReconnect, undefined);
  assert.equal((await negotiated(hub, '&useStatefulReconnect=true')).useStatefulReconnect, true);
  const without = await TestHub.start(t, { replay: 0 });
  assert.equal((await negotiated(without, '&useStatefulReconnect=true')).useStatefulReconnect, undefined);
  const connection = await started(t, without, { stateful: true });
  assert.equal(await connection.invoke('Echo', 1), 1);
});

test('a connection that the server has closed cannot be resumed: the client reconnects as a new one', async (t) => {
  const hub = await TestHub.start(t);
  const { connection } = await proxied(t, hub, { reconnect: true });
  const back = deferred();
  connection.onreconnected(back.resolve);
  const first = connection.connectionId;
  await hub.command({ retire: true });
  assert.notEqual(await back.promise, first);
  assert.equal((await hub.figures()).resumed, 0);
  assert.equal(await connection.invoke('Echo', 1), 1);
});

test('a client that stops is gone at once, one that was cut after the time to come back', async (t) => {
  const hub = await TestHub.start(t, { attach_timeout: 3000 });
  const { connection } = await proxied(t, hub);
  await connection.stop();
  await until('it to be gone', async () => (await hub.figures()).clients === 0);
  assert.equal((await hub.figures()).ended_timeout, 0);
  const { socket } = await raw(t, hub);
  socket.terminate();
  await until('the other to be gone', async () => (await hub.figures()).clients === 0);
  assert.equal((await hub.figures()).ended_timeout, 1);
});

test('a sequence that skips messages, and an acknowledgement of the future, end the connection', async (t) => {
  const hub = await TestHub.start(t);
  for (const message of ['{"type":9,"sequenceId":5}', '{"type":8,"sequenceId":1000}', '{"type":8}', '{"type":9,"sequenceId":-1}']) {
    const { token, socket, heard } = await raw(t, hub);
    socket.send(`${message}\x1e`);
    await until('the Close', () => heard.at(-1)?.type === 7);
    assert.ok(heard.at(-1).error);
    assert.equal((await fetch(`${hub.url}?id=${token}`)).status, 404);
  }
});

/// A stateful connection by hand: what it hears, parsed.
async function raw(t, hub) {
  const response = await fetch(`${hub.url}/negotiate?negotiateVersion=1&useStatefulReconnect=true`, { method: 'POST' });
  const token = (await response.json()).connectionToken;
  const socket = new WebSocket(`${hub.url.replace('http', 'ws')}?id=${token}`);
  t.after(() => socket.terminate());
  const heard = [];
  socket.on('message', (data) => heard.push(...data.toString().split('\x1e').filter(Boolean).map((text) => JSON.parse(text))));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send('{"protocol":"json","version":2}\x1e');
  await until('the handshake', () => heard.length > 0);
  heard.shift();
  return { token, socket, heard };
}
