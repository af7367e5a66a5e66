// The official client over each transport and hub protocol that it can combine.
import assert from 'node:assert/strict';
import test from 'node:test';
import { HttpTransportType } from '@microsoft/signalr';
import { until } from '../support/wait.mjs';
import { TestHub, client, combinations, deferred, nameOf, started, valuesOf } from './hub_client.mjs';

const { ServerSentEvents, LongPolling } = HttpTransportType;

for (const combination of combinations) {
  test(`${nameOf(combination)}: calls, telemetry, alerts, and a clean end`, async (t) => {
    const hub = await TestHub.start(t);
    await hub.publish({ device: 'a', value: 1 });
    const connection = await started(t, hub, combination);
    assert.equal(await connection.invoke('GetActiveTransportName'), HttpTransportType[combination.transport]);
    const value = { text: 'žluť 🌊\n\r\u2028', list: [1, 2.5, null, []] };
    assert.deepEqual(await connection.invoke('Echo', value), value);
    await assert.rejects(connection.invoke('DoesNotExist'), /Unknown hub method 'DoesNotExist'/);
    await until('the latest value', () => valuesOf(connection, 'a').length === 1);
    for (let i = 2; i <= 20; ++i) await hub.publish({ device: 'a', value: i }, { device: 'b', value: i, kind: 'alert' });
    await until('all of it', () => connection.alerts.length === 19);
    assert.deepEqual(valuesOf(connection, 'a'), Array.from({ length: 20 }, (_, i) => i + 1));
    const closed = deferred();
    connection.onclose(closed.resolve);
    await connection.stop();
    assert.equal(await closed.promise, undefined);
    await until('the hub to notice', async () => (await hub.figures()).clients === 0);
  });

  test(`${nameOf(combination)}: a hub that closes sends its clients away to come again`, async (t) => {
    const hub = await TestHub.start(t);
    const connection = await started(t, hub, { reconnect: true, ...combination });
    const back = deferred();
    connection.onreconnected(back.resolve);
    connection.onclose((error) => back.reject(error ?? new Error('closed for good')));
    const first = connection.connectionId;
    await hub.command({ retire: true });
    assert.notEqual(await back.promise, first);
    assert.equal(await connection.invoke('Echo', 'again'), 'again');
    await hub.publish({ device: 'a', value: 1 });
    await until('telemetry again', () => valuesOf(connection, 'a').length === 1);
  });

  test(`${nameOf(combination)}: a message beyond 32 KiB ends the connection with a reason`, async (t) => {
    const hub = await TestHub.start(t);
    const connection = await started(t, hub, combination);
    const closed = deferred();
    connection.onclose(closed.resolve);
    connection.invoke('Echo', 'x'.repeat(33_000)).catch(() => {});
    assert.match((await closed.promise).message, /The maximum message size of 32768B was exceeded\./);
  });
}

test('an idle connection is kept, whatever it is made of', async (t) => {
  // Time-outs far beyond what a busy machine delays a ping by.
  const hub = await TestHub.start(t, { keep_alive: 250, client_timeout: 6000, poll_timeout: 1000 });
  const lost = [];
  const connections = await Promise.all(
    combinations.map(async (one) => {
      const connection = await started(t, hub, { ...one, keepAlive: 250, serverTimeout: 6000 });
      connection.onclose((error) => lost.push(`${nameOf(one)}: ${error}`));
      return connection;
    }),
  );
  const since = Date.now();
  await until('time-outs to pass', () => lost.length > 0 || Date.now() - since > 8000);
  assert.deepEqual(lost, []);
  for (const connection of connections) assert.equal(await connection.invoke('Echo', 1), 1);
});

test('a client picks a transport that its protocol can use', async (t) => {
  const hub = await TestHub.start(t);
  const transport = ServerSentEvents | LongPolling;
  const text = await started(t, hub, { transport });
  const binary = await started(t, hub, { transport, messagepack: true });
  assert.equal(await text.invoke('GetActiveTransportName'), 'ServerSentEvents');
  assert.equal(await binary.invoke('GetActiveTransportName'), 'LongPolling');
  await assert.rejects(client(t, hub, { transport: ServerSentEvents, messagepack: true }).start(), /Binary/);
});

test('a client of every combination gets the same broadcast', async (t) => {
  const hub = await TestHub.start(t);
  const clients = await Promise.all(combinations.map((one) => started(t, hub, one)));
  const batch = Array.from({ length: 50 }, (_, i) => ({ device: `d${i}`, value: i * 1e6 }));
  await hub.publish(...batch);
  await until('it everywhere', () => clients.every((one) => one.records.length === 50));
  for (const one of clients) assert.deepEqual(one.records, clients[0].records);
});

test('a redirect is followed, again on reconnecting', async (t) => {
  const hub = await TestHub.start(t);
  const url = `http://${hub.address}/redirect?baseUrl=http://${hub.address}`;
  const connection = await started(t, { url }, { transport: undefined, reconnect: true });
  const first = await connection.invoke('GetNumRedirects');
  const back = deferred();
  connection.onreconnected(back.resolve);
  await hub.command({ retire: true });
  await back.promise;
  assert.ok((await connection.invoke('GetNumRedirects')) > first);
});

test('a hub that wants a token takes it in the header and in the query, and nothing without it', async (t) => {
  const hub = await TestHub.start(t);
  const base = `http://${hub.address}`;
  const locked = { url: `${base}/authorizedhub` };
  const token = await (await fetch(`${base}/generateJwtToken`)).text();
  for (const combination of combinations) {
    const connection = await started(t, locked, { ...combination, accessTokenFactory: () => token });
    assert.equal(await connection.invoke('Echo', 'in'), 'in');
    await assert.rejects(client(t, locked, { ...combination, accessTokenFactory: () => 'wrong' }).start(), /401/);
  }
  assert.equal((await fetch(`${locked.url}/negotiate?access_token=${token}`, { method: 'POST' })).status, 200);
  assert.equal((await fetch(`${locked.url}/negotiate`, { method: 'POST' })).status, 401);
});
