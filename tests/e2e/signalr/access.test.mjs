// Who gets in, for how long, and what they see, with the official client against the program itself.
import assert from 'node:assert/strict';
import test from 'node:test';
import { HttpTransportType } from '@microsoft/signalr';
import WebSocket from 'ws';
import { millrace } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';
import { deferred } from './hub_client.mjs';
import { Live, devices, got } from './live.mjs';

const GUARDED = '{address: 127.0.0.1:0, auth: required}';
const HUB = (options = '') => `
  - id: live
    plugin: signalr
    hub: /hubs/telemetry
${options}`;

const negotiate = (live, headers = {}) =>
  fetch(`${live.url}/hubs/telemetry/negotiate?negotiateVersion=1`, { method: 'POST', headers });

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

test('without a token nobody negotiates, connects, or reads the metrics', async (t) => {
  const live = await Live.start(t, HUB(), { listen: GUARDED });
  assert.equal((await negotiate(live)).status, 401);
  assert.equal((await negotiate(live, { Authorization: 'Bearer nonsense' })).status, 401);
  assert.equal((await fetch(`${live.url}/metrics`)).status, 401);
  assert.equal((await fetch(`${live.url}/healthz`)).status, 200);
  await assert.rejects(live.started(), /401/);
  await assert.rejects(live.started({ skipNegotiation: true, transport: HttpTransportType.WebSockets }));
  const plain = new WebSocket(`ws://${live.address}/hubs/telemetry/ws`);
  const status = deferred();
  plain.on('unexpected-response', (_, response) => status.resolve(response.statusCode));
  plain.on('error', () => {});
  assert.equal(await status.promise, 401);
  assert.equal(await millrace(t, ['token', '--data', live.data, '--right', 'ack']).then(({ stdout }) => negotiate(live, { Authorization: `Bearer ${stdout.trim()}` })).then((r) => r.status), 403);
});

for (const [name, transport] of Object.entries({
  WebSockets: HttpTransportType.WebSockets,
  'Server-Sent Events': HttpTransportType.ServerSentEvents,
  'Long Polling': HttpTransportType.LongPolling,
})) {
  test(`with a token of millrace token a client connects over ${name}, and gets one of its own for the hub alone`, async (t) => {
    const live = await Live.start(t, HUB(), { listen: GUARDED });
    const token = await live.token('--user', 'ann', '--ttl', '1h');
    const answer = await (await negotiate(live, { Authorization: `Bearer ${token}` })).json();
    const { sub, aud, exp, iat, rights } = claims(answer.accessToken);
    assert.deepEqual({ sub, aud, rights, seconds: exp - iat }, { sub: 'ann', aud: '/hubs/telemetry', rights: ['read'], seconds: 300 });
    assert.equal((await negotiate(live, { Authorization: `Bearer ${answer.accessToken}` })).status, 401);
    assert.equal((await fetch(`${live.url}/metrics`, { headers: { Authorization: `Bearer ${answer.accessToken}` } })).status, 401);

    const connection = await live.started({ token, transport });
    live.feed({ device: 'a', v: 1 });
    await got(connection, 1);
    assert.deepEqual(await connection.invoke('Presence'), { connections: 1, users: [{ user: 'ann', connections: 1 }] });
    const said = live.child.stderr + live.child.stdout;
    assert.equal(said.includes(token), false);
    assert.equal(said.includes('eyJ'), false);
  });
}

test("another user's token does not attach to a connection that was negotiated", async (t) => {
  const live = await Live.start(t, HUB(), { listen: GUARDED });
  const ann = await live.token('--user', 'ann');
  const eve = await live.token('--user', 'eve');
  const { connectionToken } = await (await negotiate(live, { Authorization: `Bearer ${ann}` })).json();
  const poll = (token) => fetch(`${live.url}/hubs/telemetry?id=${connectionToken}`, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  assert.equal((await poll(eve)).status, 404);
  assert.equal((await poll()).status, 401);
  assert.equal((await poll(ann)).status, 200);
  assert.equal((await fetch(`${live.url}/hubs/telemetry?id=${connectionToken}`, { method: 'DELETE', headers: { Authorization: `Bearer ${eve}` } })).status, 404);
});

test('a user has so many connections at a time, whatever they are made of; another user is not concerned', async (t) => {
  const live = await Live.start(t, HUB('    max_connections_per_user: 2\n'), { listen: GUARDED });
  const token = await live.token('--user', 'ann');
  const first = await live.started({ token });
  const second = await live.started({ token, transport: HttpTransportType.LongPolling });
  for (const transport of [HttpTransportType.WebSockets, HttpTransportType.ServerSentEvents, HttpTransportType.LongPolling])
    await assert.rejects(live.started({ token, transport }), /429/);
  await assert.rejects(live.started({ token, transport: HttpTransportType.WebSockets, skipNegotiation: true }));
  const bob = await live.started({ token: await live.token('--user', 'bob') });
  live.feed({ device: 'a', v: 1 });
  for (const connection of [first, second, bob]) await got(connection, 1);
  const figures = async () => (await fetch(`${live.url}/metrics`, { headers: { Authorization: `Bearer ${token}` } })).text();
  await until('the four to be counted', async () => /clients_refused_user_total\S* 4\b/.test(await figures()));
  await second.stop();
  await until('room for another', () => live.started({ token }).then(() => true, () => false));
});

test('a page signs in, and its cookie negotiates', async (t) => {
  const live = await Live.start(t, HUB(), { listen: GUARDED });
  const token = await live.token('--user', 'ann');
  const session = await fetch(`${live.url}/api/session`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  assert.equal(session.status, 204);
  const Cookie = session.headers.get('set-cookie').split(';')[0];
  assert.equal((await negotiate(live, { Cookie, Origin: live.url })).status, 200);
  assert.equal((await negotiate(live, { Cookie, Origin: 'https://evil.example' })).status, 403);
  assert.equal((await (await fetch(`${live.url}/api/session`, { headers: { Cookie } })).json()).user, 'ann');
});

test('a connection ends when its token does, and its client comes again with a fresh one', async (t) => {
  const live = await Live.start(t, HUB('    token_lifetime: 2s\n'), { listen: GUARDED });
  const token = await live.token('--user', 'ann');
  const connection = live.client({ token, reconnect: true });
  const lost = deferred();
  const back = deferred();
  connection.onreconnecting(lost.resolve);
  connection.onreconnected(back.resolve);
  connection.onclose((error) => back.reject(error ?? new Error('closed for good')));
  await connection.start();
  const first = connection.connectionId;
  await lost.promise;
  assert.notEqual(await back.promise, first);
  live.feed({ device: 'a', v: 1 });
  await got(connection, 1);
  // The metrics want a token, too.
  const figures = async () => (await fetch(`${live.url}/metrics`, { headers: { Authorization: `Bearer ${token}` } })).text();
  await until('it to be counted', async () => /clients_ended_expired\S* [1-9]/.test(await figures()));
});

test('a connection whose token has ended is gone before it is closed', async (t) => {
  const live = await Live.start(t, HUB('    token_lifetime: 5s\n'), { listen: GUARDED });
  const Authorization = `Bearer ${await live.token('--user', 'ann')}`;
  const { connectionToken } = await (await negotiate(live, { Authorization })).json();
  const socket = new WebSocket(`ws://${live.address}/hubs/telemetry?id=${connectionToken}`, { headers: { Authorization } });
  const closing = deferred();
  const said = [];
  socket.on('open', () => socket.send('{"protocol":"json","version":1}\x1e'));
  socket.on('message', async (data) => {
    said.push(String(data));
    if (!String(data).includes('"type":7')) return;
    const again = await fetch(`${live.url}/hubs/telemetry?id=${connectionToken}`, { headers: { Authorization } });
    closing.resolve(again.status);
  });
  assert.equal(await closing.promise, 404);
  assert.match(said.join(''), /\{"type":7,"allowReconnect":true\}/);
});

test('a client that renews stays, with what the new token allows; nobody renews with the token of another', async (t) => {
  const live = await Live.start(t, HUB('    token_lifetime: 8s\n'), { listen: GUARDED });
  const wide = await live.token('--user', 'ann', '--group', 'device:*');
  const narrow = await live.token('--user', 'ann', '--group', 'device:b', '--ttl', '1h');
  const eve = await live.token('--user', 'eve');
  const connection = await live.started({ token: wide });
  let closed = false;
  connection.onclose(() => (closed = true));
  await connection.invoke('Subscribe', 'a', 'b');
  await assert.rejects(connection.invoke('Renew', eve), /does not renew/);
  await assert.rejects(connection.invoke('Renew', 'nonsense'), /does not renew/);
  assert.equal(await connection.invoke('Renew', narrow), claims(narrow).exp * 1000);
  const since = Date.now();
  await until('the first token to end', () => closed || Date.now() - since > 10_000);
  assert.equal(closed, false);
  live.feed({ device: 'a', v: 1 }, { device: 'b', v: 1 });
  await got(connection, 1);
  assert.deepEqual(devices(connection), ['b']);
});

test('connection_lifetime outlasts the token, but not the one that was negotiated with', async (t) => {
  const live = await Live.start(t, HUB('    token_lifetime: 1s\n    connection_lifetime: 1h\n'), { listen: GUARDED });
  const long = await live.started({ token: await live.token('--user', 'ann') });
  const Authorization = `Bearer ${await live.token('--user', 'bob', '--ttl', '8s')}`;
  const { connectionToken } = await (await negotiate(live, { Authorization })).json();
  const socket = new WebSocket(`ws://${live.address}/hubs/telemetry?id=${connectionToken}`, { headers: { Authorization } });
  t.after(() => socket.terminate());
  const ended = deferred();
  socket.on('open', () => socket.send('{"protocol":"json","version":1}\x1e'));
  socket.on('message', (data) => {
    if (!String(data).includes('"type":7')) return;
    // From here on it does not even answer the WebSocket's closing, and is none of those present all the same.
    socket.pause();
    ended.resolve();
  });
  await until('both to be there', async () => (await long.invoke('Presence')).connections === 2);
  await ended.promise;
  assert.equal((await long.invoke('Presence')).connections, 1);
});

test('who may see some devices only sees no others, subscribed or not', async (t) => {
  const live = await Live.start(t, HUB(), { listen: GUARDED });
  live.feed({ device: 'yard-1', v: 0 }, { device: 'house', v: 0 });
  const all = await live.started({ token: await live.token() });
  await got(all, 2);
  const token = await live.token('--user', 'ann', '--group', 'device:yard-*');
  const unsubscribed = await live.started({ token });
  const subscribed = await live.started({ token });
  await subscribed.invoke('Subscribe', 'house', 'yard-2', 'nowhere');
  live.feed({ device: 'house', v: 1 }, { device: 'yard-2', v: 1 }, { device: 'yard-1', v: 1 });
  await until('both', () => devices(unsubscribed).length === 3 && devices(subscribed).includes('yard-2'));
  assert.deepEqual(devices(unsubscribed), ['yard-1', 'yard-2', 'yard-1']);
  assert.deepEqual(devices(subscribed).filter((device) => device !== 'yard-1'), ['yard-2']);
  assert.deepEqual((await unsubscribed.invoke('Latest')).map((r) => r.device).sort(), ['yard-1', 'yard-2']);
  assert.deepEqual(await unsubscribed.invoke('Latest', 'house'), await unsubscribed.invoke('Latest', 'nowhere'));
  assert.deepEqual(await unsubscribed.invoke('Presence', 'house'), { connections: 0, users: [] });
});

test('keys rotate while it runs: the token before holds, the one before that does not', async (t) => {
  const live = await Live.start(t, HUB(), { listen: GUARDED });
  const rotate = () => millrace(t, ['token', '--data', live.data, '--rotate']);
  const old = await live.token('--user', 'ann');
  assert.equal((await negotiate(live, { Authorization: `Bearer ${old}` })).status, 200);
  assert.equal((await rotate()).code, 0);
  const fresh = await live.token('--user', 'ann');
  await until('the new key', async () => (await negotiate(live, { Authorization: `Bearer ${fresh}` })).status === 200);
  assert.equal((await negotiate(live, { Authorization: `Bearer ${old}` })).status, 200);
  assert.equal((await rotate()).code, 0);
  await until('the old key to go', async () => (await negotiate(live, { Authorization: `Bearer ${old}` })).status === 401);
  assert.equal((await negotiate(live, { Authorization: `Bearer ${fresh}` })).status, 200);
});

test('origins are compared exactly, on every way in', async (t) => {
  const live = await Live.start(t, HUB('    origins: ["https://plant.example"]\n'));
  const upgrade = (path, Origin) =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://${live.address}${path}`, { headers: Origin === undefined ? {} : { Origin } });
      socket.on('open', () => resolve(101));
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
      socket.on('error', () => {});
      t.after(() => socket.terminate());
    });
  for (const path of ['/hubs/telemetry', '/hubs/telemetry/ws']) {
    assert.equal(await upgrade(path, 'https://plant.example'), 101);
    assert.equal(await upgrade(path, live.url), 101);
    assert.equal(await upgrade(path), 101);
    for (const origin of [
      'null', 'https://PLANT.example', 'https://plant.example.evil.example', 'https://evil.example/https://plant.example', 'http://plant.example',
      'https://plant.example:443', 'https://plant.example/', 'https://xplant.example', 'https://plant.exampl', 'plant.example', '//plant.example',
      'https://plant.example https://evil.example', 'file://', 'https://', ' https://plant.example.', 'https://user@plant.example', `${live.url}.evil.example`,
      live.url.replace('127.0.0.1', 'evil.example'), live.url.replace('http:', 'https:'), live.url.replace(/:\d+$/, ''),
    ])
      assert.equal(await upgrade(path, origin), 403, `${path} ${origin}`);
  }
});

test('who has the right acknowledges an alert, others do not, and the history says who it was', async (t) => {
  const live = await Live.start(
    t,
    `
  - id: climate
    plugin: alert
    key: device
    rules:
      damp: {watch: {value: humidity}, above: 60, severity: warning}
  - id: live
    plugin: signalr
    hub: /hubs/telemetry
`,
    { listen: GUARDED },
  );
  const reader = await live.started({ token: await live.token('--user', 'eve'), targets: ['alert'] });
  const keeper = await live.started({ token: await live.token('--user', 'ann', '--right', 'read,ack') });
  live.feed({ device: 'cellar', humidity: 80, at: Date.now() });
  await until('the alert', () => reader.calls.some(([, alert]) => alert.to === 'FIRING'));
  await assert.rejects(reader.invoke('AckAlert', 'cellar'), /You may not call 'AckAlert'/);
  await assert.rejects(keeper.invoke('AckAlert', 7), /Expected the alert's key/);
  await assert.rejects(keeper.invoke('AckAlert', 'cellar', 'no such rule'), /no such rule/);
  // Of a device that they may not see it is as if nothing were open.
  const neighbour = await live.started({ token: await live.token('--user', 'bob', '--group', 'device:attic', '--right', 'read,ack') });
  await neighbour.invoke('AckAlert', 'cellar', 'damp');
  await neighbour.invoke('AckAlert', 'cellar');
  await keeper.invoke('AckAlert', 'cellar', 'damp');
  await until('the history to say so', async () => (await live.query("select acked_by from alert_state where acked_by is not null"))[0]?.acked_by === 'ann');
  assert.deepEqual(await live.query("select reason from alert_event where reason like 'ack%'"), [{ reason: 'ack:ann' }]);
});
