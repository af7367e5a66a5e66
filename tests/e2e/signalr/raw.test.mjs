// The hub seen by clients that are no SignalR clients: plain WebSockets, and one that does not read.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import test from 'node:test';
import { WebSocket } from 'ws';
import { SANITIZED } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';
import { TestHub, started, valuesOf } from './hub_client.mjs';

function plain(t, hub, query = '', options = {}) {
  const socket = new WebSocket(`ws://${hub.address}/testhub/ws${query}`, options);
  t.after(() => socket.terminate());
  socket.lines = [];
  socket.on('message', (data) => {
    const text = data.toString();
    assert.ok(text.endsWith('\n'));
    socket.lines.push(JSON.parse(text));
  });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
}

test('a plain WebSocket gets a JSON line for each record', async (t) => {
  const hub = await TestHub.start(t);
  await hub.publish({ device: 'a', value: 0 });
  const all = await plain(t, hub);
  const one = await plain(t, hub, '?device=b');
  await hub.publish({ device: 'a', value: 1 }, { device: 'b', value: 2 }, { device: 'b', value: 3, kind: 'alert' });
  await until('the alert at both', () => all.lines.length === 4 && one.lines.length === 2);
  const { epoch } = all.lines[0];
  assert.deepEqual(all.lines, [
    { target: 'telemetry', device: 'a', time: 0, fields: { value: 0 }, seq: 1, epoch },
    { target: 'telemetry', device: 'a', time: 0, fields: { value: 1 }, seq: 2, epoch },
    { target: 'telemetry', device: 'b', time: 0, fields: { value: 2 }, seq: 1, epoch },
    { target: 'alert', value: 3 },
  ]);
  assert.deepEqual(one.lines, all.lines.slice(2));
  all.send('anything');
  all.close(1000);
  await until('the clean end', () => all.readyState === WebSocket.CLOSED);
});

test('a page of another origin gets in only if it is listed', async (t) => {
  const hub = await TestHub.start(t, { origins: ['https://plant.example'] });
  await plain(t, hub, '', { origin: 'https://plant.example' });
  await plain(t, hub, '', { origin: `http://${hub.address}` });
  for (const origin of ['https://evil.example', 'null', 'https://plant.example.evil', 'https://PLANT.example'])
    await assert.rejects(plain(t, hub, '', { origin }), /403/);
  const preflight = await fetch(`${hub.url}/negotiate`, { method: 'OPTIONS', headers: { Origin: 'https://plant.example' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://plant.example');
  assert.equal(preflight.headers.get('access-control-allow-credentials'), 'true');
  const refused = await fetch(`${hub.url}/negotiate`, { method: 'POST', headers: { Origin: 'https://evil.example' } });
  assert.equal(refused.status, 403);
  assert.equal(refused.headers.get('access-control-allow-origin'), null);
});

test('a client that stops reading costs bounded memory and gets the newest value when it reads again', async (t) => {
  // It may take a busy machine longer than the usual 30 s to publish all that.
  const hub = await TestHub.start(t, { client_timeout: 600_000 });
  const slow = connect(hub.port, '127.0.0.1');
  t.after(() => slow.destroy());
  slow.write(
    'GET /testhub/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  let text = '';
  slow.setEncoding('latin1').on('data', (data) => (text += data));
  await until('the upgrade', () => text.includes('\r\n\r\n'));
  slow.pause();

  const batch = (from) => Array.from({ length: 100 }, (_, i) => ({ device: `d${i}`, value: from, pad: 500 }));
  let value = 0;
  let figures = await hub.figures();
  await until('the slow client to be behind', async () => (figures = await hub.publish(...batch(++value))).conflated > 0);
  // Only now the other one comes: what was conflated until here was the slow client's.
  const quick = await started(t, hub);
  const before = hub.memoryMiB();
  for (let i = 0; i < 1000; ++i) figures = await hub.publish(...batch(++value)); // 50 MB and more
  assert.ok(figures.conflated >= 90_000, `conflated ${figures.conflated}`);
  assert.equal(figures.ended_slow, 0);
  if (!SANITIZED) assert.ok(hub.memoryMiB() - before < 16, `grew from ${before} to ${hub.memoryMiB()} MiB`);
  await until('the quick client to be up to date', () => valuesOf(quick, 'd99').at(-1) === value);

  slow.resume();
  const newest = (device) => `"device":"${device}","time":0,"fields":{"value":${value},`;
  await until('the newest of each series', () => [0, 50, 99].every((i) => text.includes(newest(`d${i}`))));
  assert.equal(text.split(newest('d50')).length, 2);
});
