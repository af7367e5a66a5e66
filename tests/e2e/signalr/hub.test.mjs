// The hub server, seen by the official client.
import assert from 'node:assert/strict';
import test from 'node:test';
import { until } from '../support/wait.mjs';
import { TestHub, deferred, started, valuesOf } from './hub_client.mjs';

test('a client gets telemetry and alerts', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub);
  assert.ok(connection.connectionId);
  await hub.publish({ device: 'a', value: 1 }, { device: 'b', value: 2 }, { device: 'a', value: 3, kind: 'alert' });
  await until('the alert', () => connection.alerts.length === 1);
  assert.deepEqual(connection.alerts, [{ value: 3 }]);
  const { epoch } = connection.records[0];
  assert.match(epoch, /^[\w-]{8}$/);
  assert.deepEqual(connection.records, [
    { device: 'a', time: 0, fields: { value: 1 }, seq: 1, epoch },
    { device: 'b', time: 0, fields: { value: 2 }, seq: 1, epoch },
  ]);
});

test('a client that joins gets the latest of each series at once', async (t) => {
  const hub = await TestHub.start(t);
  await hub.publish({ device: 'a', value: 1 }, { device: 'b', value: 2 });
  await hub.publish({ device: 'a', value: 3 });
  const connection = await started(t, hub);
  await until('both devices', () => connection.records.length === 2);
  assert.deepEqual(valuesOf(connection, 'a'), [3]);
  assert.deepEqual(valuesOf(connection, 'b'), [2]);
  const latest = await connection.invoke('Latest', 'b');
  const { epoch } = latest[0];
  assert.deepEqual(latest, [{ device: 'b', time: 0, fields: { value: 2 }, seq: 1, epoch }]);
});

test('it works without negotiation', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub, { skipNegotiation: true });
  assert.equal(connection.connectionId, null);
  assert.deepEqual(await connection.invoke('Echo', { text: 'žluť 🌊', list: [1, 2.5, null, []] }), { text: 'žluť 🌊', list: [1, 2.5, null, []] });
});

test('Subscribe restricts a client to its devices, Unsubscribe takes them away', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub);
  const everything = await started(t, hub);
  await connection.invoke('Subscribe', 'a', 'device:c');
  await hub.publish({ device: 'b', value: 1 }, { device: 'a', value: 2 });
  await hub.publish({ device: 'b', value: 3, kind: 'alert' }, { device: 'a', value: 4, kind: 'alert' }, { device: 'c', value: 5 });
  await until('the last of it', () => valuesOf(connection, 'c').length === 1 && connection.alerts.length === 1);
  assert.deepEqual(valuesOf(connection, 'a'), [2]);
  assert.deepEqual(valuesOf(connection, 'b'), []);
  assert.deepEqual(connection.alerts, [{ value: 4 }]);

  await connection.invoke('unsubscribe', ['a']);
  await hub.publish({ device: 'a', value: 6 }, { device: 'c', value: 7 });
  await until('c again', () => valuesOf(connection, 'c').length === 2);
  assert.deepEqual(valuesOf(connection, 'a'), [2]);
  await until('everything at the other', () => everything.records.length === 5);
  assert.deepEqual(valuesOf(everything, 'a'), [2, 6]);
});

test('wrong calls fail with their reason; calls without an answer fail in silence', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub);
  await assert.rejects(connection.invoke('DoesNotExist'), /Unknown hub method 'DoesNotExist'/);
  await assert.rejects(connection.invoke('Subscribe', 42), /Expected device ids/);
  await assert.rejects(
    connection.invoke('ThrowException', 'An error occurred.'),
    /An unexpected error occurred invoking 'ThrowException' on the server\. InvalidOperationException: An error occurred\./,
  );
  await connection.send('DoesNotExist');
  assert.equal(await connection.invoke('ECHO', 'still here'), 'still here');
});

test('a message beyond 32 KiB ends the connection with a reason', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub);
  const closed = deferred();
  connection.onclose(closed.resolve);
  assert.equal(await connection.invoke('Echo', 'x'.repeat(32000)).then((text) => text.length), 32000);
  connection.invoke('Echo', 'x'.repeat(33000)).catch(() => {});
  const error = await closed.promise;
  assert.match(error.message, /The maximum message size of 32768B was exceeded\./);
  await until('it to be counted', async () => (await hub.figures()).ended_protocol === 1);
});

test('a thousand small batches all arrive, in order', async (t) => {
  const hub = await TestHub.start(t, { client_queue: 4 << 20 });
  const connection = await started(t, hub);
  for (let i = 0; i < 1000; ++i) hub.child.process.stdin.write(`${JSON.stringify({ publish: [{ device: 'a', value: i }] })}\n`);
  await until('all of them', () => connection.records.length === 1000);
  assert.deepEqual(valuesOf(connection, 'a'), [...Array(1000).keys()]);
});

test('a server-sent call reaches the client that asked', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub);
  const heard = deferred();
  connection.on('Message', heard.resolve);
  await connection.invoke('InvokeWithString', 'hello');
  assert.equal(await heard.promise, 'hello');
});
