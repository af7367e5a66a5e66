// Streams both ways and calls of the client that return something, over each transport and hub protocol.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Subject } from '@microsoft/signalr';
import { until } from '../support/wait.mjs';
import { TestHub, combinations, deferred, nameOf, started } from './hub_client.mjs';

/// Resolves with all items of a stream, rejects with its error.
const itemsOf = (stream) =>
  new Promise((resolve, reject) => {
    const items = [];
    stream.subscribe({ next: (item) => void items.push(item), complete: () => resolve(items), error: reject });
  });

for (const combination of combinations) {
  const name = nameOf(combination);

  test(`${name}: streams to the client`, async (t) => {
    const hub = await TestHub.start(t);
    const connection = await started(t, hub, combination);
    assert.deepEqual(await itemsOf(connection.stream('Stream')), ['a', 'b', 'c']);
    assert.deepEqual(await itemsOf(connection.stream('EmptyStream')), []);
    await assert.rejects(itemsOf(connection.stream('StreamThrowException', 'An error occurred.')), {
      message: "An unexpected error occurred invoking 'StreamThrowException' on the server. InvalidOperationException: An error occurred.",
    });
    const [few, many] = await Promise.all([itemsOf(connection.stream('Count', 3)), itemsOf(connection.stream('Count', 20_000))]);
    assert.deepEqual(few, [0, 1, 2]);
    assert.deepEqual(many, [...Array(20_000).keys()]);
    assert.equal((await hub.figures()).ended_slow, 0);
  });

  test(`${name}: a stream that is cancelled stops and is completed`, async (t) => {
    const hub = await TestHub.start(t);
    const connection = await started(t, hub, combination);
    const told = deferred();
    connection.on('StreamCanceled', told.resolve);
    let ended = false;
    const subscription = connection.stream('InfiniteStream').subscribe({ next() {}, complete: () => (ended = true), error: () => (ended = true) });
    assert.equal(await connection.invoke('Echo', 'beside it'), 'beside it');
    assert.equal(ended, false);
    subscription.dispose();
    await told.promise;
    let seen = 0;
    const endless = connection.stream('Count', 1e9).subscribe({ next: () => void ++seen, complete() {}, error() {} });
    await until('the first numbers', () => seen > 100);
    endless.dispose();
    assert.equal(await connection.invoke('Echo', 'after it'), 'after it');
  });

  test(`${name}: streams to the hub, and their errors`, async (t) => {
    const hub = await TestHub.start(t);
    const connection = await started(t, hub, combination);
    const words = new Subject();
    const text = connection.invoke('StreamingConcat', words);
    for (const word of ['a', 'ž', '🌊', ' ', 'd']) words.next(word);
    words.complete();
    assert.equal(await text, 'až🌊 d');
    const failing = new Subject();
    const answer = connection.invoke('StreamingConcat', failing);
    failing.next('a');
    failing.error(new Error('it broke'));
    await assert.rejects(answer, { message: "An unexpected error occurred invoking 'StreamingConcat' on the server. HubException: it broke" });
    await assert.rejects(connection.invoke('StreamingConcat'), { message: 'Client sent 0 stream(s), Hub method expects 1.' });
    const unwanted = new Subject();
    await assert.rejects(connection.invoke('Echo', unwanted), { message: 'Client sent 1 stream(s), Hub method expects 0.' });
    await assert.rejects(connection.invoke('Stream'), {
      message: "The client attempted to invoke the streaming 'Stream' method with a non-streaming invocation.",
    });
    await assert.rejects(itemsOf(connection.stream('Echo', 'x')), {
      message: "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.",
    });
  });

  test(`${name}: a client's method returns to the hub`, async (t) => {
    const hub = await TestHub.start(t);
    const connection = await started(t, hub, combination);
    connection.on('Add', (a, b) => a + b);
    connection.on('Throw', () => {
      throw new Error('from callback');
    });
    connection.on('Silent', () => {});
    assert.equal(await connection.invoke('CallBack', 'Add', 2, 3), 5);
    await assert.rejects(connection.invoke('CallBack', 'Throw'), { message: 'Error: from callback' });
    await assert.rejects(connection.invoke('CallBack', 'Silent'), { message: "Client didn't provide a result." });
    await assert.rejects(connection.invoke('CallBack', 'Nowhere'), { message: "Client didn't provide a result." });
  });

  test(`${name}: what the request says, and complex values`, async (t) => {
    const hub = await TestHub.start(t);
    const connection = await started(t, hub, { ...combination, headers: { 'X-Test': 'yes' } });
    assert.equal(await connection.invoke('GetHeader', 'x-test'), 'yes');
    assert.equal(await connection.invoke('GetHeader', 'x-absent'), null);
    assert.match(await connection.invoke('GetHeader', 'User-Agent'), /^Microsoft SignalR\//);
    assert.equal(await connection.invoke('GetCallerConnectionId'), connection.connectionId);
    const object = await connection.invoke('SendComplexObject');
    assert.deepEqual(object.IntArray, [1, 2, 3]);
    assert.equal(object.Guid, '00010203-0405-0607-0706-050403020100');
    if (combination.messagepack) {
      assert.deepEqual([...object.ByteArray], [1, 2, 3]);
      assert.deepEqual(object.DateTime, new Date(Date.UTC(2000, 0, 1)));
    } else {
      assert.equal(object.ByteArray, 'AQID');
      assert.equal(object.DateTime, '2000-01-01T00:00:00Z');
    }
  });
}

test('a client that goes takes its streams with it', async (t) => {
  const hub = await TestHub.start(t);
  const connection = await started(t, hub);
  connection.stream('InfiniteStream').subscribe({ next() {}, complete() {}, error() {} });
  connection.stream('Count', 1e9).subscribe({ next() {}, complete() {}, error() {} });
  connection.invoke('StreamingConcat', new Subject()).catch(() => {});
  connection.on('Never', () => new Promise(() => {}));
  connection.invoke('CallBack', 'Never').catch(() => {});
  assert.equal(await connection.invoke('Echo', 1), 1);
  await connection.stop();
  await until('the hub to notice', async () => (await hub.figures()).clients === 0);
});
