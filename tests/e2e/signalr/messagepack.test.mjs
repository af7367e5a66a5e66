// The hub server, seen by the official client that speaks MessagePack.
import assert from 'node:assert/strict';
import test from 'node:test';
import { WebSocket } from 'ws';
import { until } from '../support/wait.mjs';
import { TestHub, deferred, started, valuesOf } from './hub_client.mjs';

const messagepack = true;

test('a MessagePack client gets what a JSON client gets', async (t) => {
  const hub = await TestHub.start(t);
  await hub.publish({ device: 'early', value: -40_000 });
  const binary = await started(t, hub, { messagepack });
  const text = await started(t, hub);
  const list = Array.from({ length: 300 }, (_, i) => ({ device: `d${i}`, value: i * 1e8 }));
  await hub.publish(...list, { device: 'a', value: 3, kind: 'alert' });
  await until('the alert at both', () => binary.alerts.length === 1 && text.alerts.length === 1);
  assert.equal(binary.records.length, 301);
  assert.deepEqual(binary.records, text.records);
  assert.deepEqual(binary.alerts, text.alerts);
  const { epoch } = binary.records[0];
  assert.deepEqual(binary.records[0], { device: 'early', time: 0, fields: { value: -40_000 }, seq: 1, epoch });
});

test('a broadcast is built once for each protocol, whoever listens', async (t) => {
  const hub = await TestHub.start(t);
  const clients = await Promise.all(Array.from({ length: 10 }, (_, i) => started(t, hub, { messagepack: i % 2 === 0 })));
  const before = await hub.figures();
  const after = await hub.publish({ device: 'a', value: 1 });
  await until('all of them', () => clients.every((one) => one.records.length === 1));
  assert.equal((await hub.figures()).frames - before.frames, 2);
  assert.equal(after.ended_protocol, 0);
});

test('values of every type come back as they were sent', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub, { messagepack });
  const value = {
    text: 'žluť 🌊',
    long: 'x'.repeat(20_000),
    numbers: [0, 127, 128, 65_535, 65_536, 4_294_967_296, -1, -33, -129, -32_769, -4_294_967_296, 0.1, -1e300],
    nothing: null,
    yes: true,
    bytes: new Uint8Array([0, 1, 254, 255]),
    when: new Date(Date.UTC(2002, 3, 1, 10, 20, 15, 250)),
    nested: { list: [[[{}]], []] },
  };
  const back = await connection.invoke('Echo', value);
  assert.deepEqual({ ...back, bytes: [...back.bytes] }, { ...value, bytes: [...value.bytes] });
  assert.equal(await connection.invoke('Echo', Number.NaN), Number.NaN);
});

test('Latest, a call of the client, and errors', async (t) => {
  const hub = await TestHub.start(t);
  await hub.publish({ device: 'b', value: 2 });
  const connection = await started(t, hub, { messagepack });
  const latest = await connection.invoke('Latest', 'b');
  assert.deepEqual(latest, [{ device: 'b', time: 0, fields: { value: 2 }, seq: 1, epoch: latest[0].epoch }]);
  const heard = deferred();
  connection.on('message', heard.resolve);
  assert.equal(await connection.invoke('InvokeWithString', 'hello'), undefined);
  assert.equal(await heard.promise, 'hello');
  await assert.rejects(connection.invoke('DoesNotExist'), /Unknown hub method 'DoesNotExist'/);
  await assert.rejects(connection.invoke('ThrowException', 'oh'), /on the server\. InvalidOperationException: oh/);
});

test('Subscribe restricts a MessagePack client', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub, { messagepack });
  await connection.invoke('Subscribe', ['a']);
  await hub.publish({ device: 'b', value: 1 }, { device: 'a', value: 2 });
  await until('it', () => connection.records.length === 1);
  assert.deepEqual(valuesOf(connection, 'a'), [2]);
});

test('a message beyond 32 KiB ends a MessagePack connection with a reason, before it has come', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub, { messagepack });
  const closed = deferred();
  connection.onclose(closed.resolve);
  connection.invoke('Echo', 'x'.repeat(33_000)).catch(() => {});
  assert.match((await closed.promise).message, /The maximum message size of 32768B was exceeded\./);

  const socket = new WebSocket(`ws://${hub.address}/testhub`);
  t.after(() => socket.terminate());
  const heard = [];
  socket.on('message', (data, isBinary) => heard.push({ data, isBinary }));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send('{"protocol":"messagepack","version":1}\x1e');
  await until('the handshake', () => heard.length === 1);
  assert.equal(heard[0].isBinary, true);
  assert.equal(heard[0].data.toString(), '{}\x1e');
  socket.send(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07])); // 2 GiB to come
  await until('the end', () => socket.readyState === WebSocket.CLOSED);
  assert.match(heard.at(-1).data.toString('latin1'), /The maximum message size/);
});
