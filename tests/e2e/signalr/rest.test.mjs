// The data plane of Azure SignalR Service: what a program without a connection can do.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { HttpTransportType } from '@microsoft/signalr';
import { until } from '../support/wait.mjs';
import { deferred } from './hub_client.mjs';
import { Live } from './live.mjs';

const HUB = `
  - id: live
    plugin: signalr
    hub: /hubs/telemetry
`;
const GUARDED = { listen: '{address: 127.0.0.1:0, auth: required}' };

class Plane {
  static async of(live) {
    const plane = new Plane();
    plane.live = live;
    plane.base = `${live.url}/api/hubs/telemetry`;
    plane.token = await live.token('--user', 'backend', '--right', 'command');
    return plane;
  }

  call(method, path, body, headers = { Authorization: `Bearer ${this.token}` }) {
    return fetch(`${this.base}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  }

  async status(...args) {
    return (await this.call(...args)).status;
  }
}

const users = async (live, ...names) =>
  Promise.all(names.map(async (name) => live.started({ token: await live.token('--user', name), targets: ['say'] })));

test('it sends to all, a group, a user and a connection, and leaves out whom it is told to', async (t) => {
  const live = await Live.start(t, HUB, GUARDED);
  const plane = await Plane.of(live);
  const [ann, bob] = await users(live, 'ann', 'bob');
  const say = (text) => ({ target: 'say', arguments: [text, { n: 1 }] });
  assert.equal(await plane.status('PUT', `/groups/a%2Fb/connections/${bob.connectionId}?api-version=2022-06-01`), 200);
  assert.equal(await plane.status('POST', '/:send?api-version=2022-06-01', say('all')), 202);
  assert.equal(await plane.status('POST', `/:send?excluded=${ann.connectionId}`, say('but ann')), 202);
  assert.equal(await plane.status('POST', '/groups/a%2Fb/:send', say('group')), 202);
  assert.equal(await plane.status('POST', '/users/ann/:send', say('user')), 202);
  assert.equal(await plane.status('POST', `/connections/${ann.connectionId}/:send`, say('connection')), 202);
  assert.equal(await plane.status('POST', '/users/nobody/:send', say('nobody')), 202);
  assert.equal((await fetch(`${live.url}/api/v1/hubs/telemetry/users/bob`, { method: 'POST', headers: { Authorization: `Bearer ${plane.token}` }, body: JSON.stringify(say('v1')) })).status, 202);
  await until('all of it', () => ann.calls.length === 3 && bob.calls.length === 4);
  assert.deepEqual(ann.calls.map(([, text]) => text), ['all', 'user', 'connection']);
  assert.deepEqual(bob.calls.map(([, text]) => text), ['all', 'but ann', 'group', 'v1']);
  assert.deepEqual(ann.calls[0], ['say', 'all', { n: 1 }]);
});

test('groups, existence and closing', async (t) => {
  const live = await Live.start(t, HUB, GUARDED);
  const plane = await Plane.of(live);
  const [ann] = await users(live, 'ann');
  const id = ann.connectionId;
  assert.equal((await fetch(`${live.url}/api/health`, { method: 'HEAD' })).status, 200);
  assert.equal(await plane.status('HEAD', `/connections/${id}`), 200);
  assert.equal(await plane.status('HEAD', '/users/ann'), 200);
  assert.equal(await plane.status('HEAD', '/groups/g'), 404);
  assert.equal(await plane.status('HEAD', '/users/nobody'), 404);
  const missing = await plane.call('PUT', '/groups/g/connections/nobody');
  assert.equal(missing.status, 404);
  assert.equal(missing.headers.get('x-ms-error-code'), 'Warning.Connection.NotExisted');
  assert.equal(await plane.status('PUT', `/groups/g/connections/${id}`), 200);
  assert.equal(await plane.status('HEAD', '/groups/g'), 200);
  assert.equal(await plane.status('HEAD', '/users/ann/groups/g'), 200);
  assert.equal(await plane.status('DELETE', `/connections/${id}/groups`), 200);
  assert.equal(await plane.status('HEAD', '/groups/g'), 404);

  assert.equal(await plane.status('PUT', '/users/ann/groups/now?ttl=0'), 200);
  assert.equal(await plane.status('PUT', '/users/ann/groups/later'), 200);
  const [again] = await users(live, 'ann');
  assert.equal(await plane.status('POST', '/groups/later/:send', { target: 'say', arguments: ['later'] }), 202);
  assert.equal(await plane.status('POST', '/groups/now/:send', { target: 'say', arguments: ['now'] }), 202);
  await until('what is due', () => ann.calls.length === 2 && again.calls.length === 1);
  assert.equal(again.calls[0][1], 'later');
  assert.equal(await plane.status('DELETE', '/users/ann/groups/later'), 204);
  assert.equal(await plane.status('DELETE', '/users/ann/groups'), 204);
  assert.equal(await plane.status('HEAD', '/users/ann/groups/now'), 404);

  const [told, silent] = [deferred(), deferred()];
  ann.onclose((error) => told.resolve(String(error?.message)));
  again.onclose(silent.resolve);
  assert.equal(await plane.status('DELETE', `/connections/${id}?reason=go%20home`), 200);
  assert.match(await told.promise, /go home/);
  assert.equal(await plane.status('DELETE', `/connections/${id}`), 404);
  assert.equal(await plane.status('POST', '/:closeConnections'), 204);
  await silent.promise;
});

test('what is wrong is refused', async (t) => {
  const live = await Live.start(t, HUB);
  const plane = await Plane.of(live);
  assert.equal(await plane.status('POST', '/:send', { target: 'x' }, {}), 401);
  const reader = await live.token('--right', 'read');
  assert.equal(await plane.status('POST', '/:send', { target: 'x' }, { Authorization: `Bearer ${reader}` }), 403);
  assert.equal(await plane.status('POST', '/:send', { arguments: [] }), 400);
  assert.equal(await plane.status('POST', '/:send', { target: 'x', arguments: {} }), 400);
  assert.equal(await plane.status('POST', '/:send?api-version=1999-01-01', { target: 'x' }), 400);
  assert.equal(await plane.status('POST', '/:send?acknowledge=31', { target: 'x' }), 400);
  assert.equal((await fetch(`${plane.base}/:send`, { method: 'POST', headers: { Authorization: `Bearer ${plane.token}` }, body: '{' })).status, 400);
  assert.equal(await plane.status('POST', '/:explode'), 404);
  assert.equal(await plane.status('POST', '/groups/g'), 405);
  assert.equal(await plane.status('PUT', `/users/u/groups/${'g'.repeat(1025)}`), 400);
});

test('a token signed with the key for just this URL is enough, as with Azure; for another URL it is not', async (t) => {
  const live = await Live.start(t, HUB, GUARDED);
  const plane = await Plane.of(live);
  const [, secret] = readFileSync(join(live.data, 'token.keys'), 'utf8').split('\n').find((line) => line && !line.startsWith('#')).split(' ');
  const jwt = (aud, key = secret) => {
    const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ aud, exp: Math.floor(Date.now() / 1000) + 60 })}`;
    return { Authorization: `Bearer ${text}.${createHmac('sha256', key).update(text).digest('base64url')}` };
  };
  const body = { target: 'x', arguments: [] };
  assert.equal(await plane.status('POST', '/:send?api-version=2022-06-01', body, jwt(`${plane.base}/:send`)), 202);
  assert.equal(await plane.status('POST', '/groups/a%20b/:send', body, jwt(`${plane.base}/groups/a%20b/:send`)), 202);
  assert.equal(await plane.status('POST', '/users/u/:send', body, jwt(`${plane.base}/:send`)), 401);
  assert.equal(await plane.status('POST', '/:send', body, jwt(`${plane.base}/:send`, 'another key, as long as the one it has')), 401);
  assert.equal((await fetch(`${live.url}/metrics`, { headers: jwt(`${live.url}/metrics`) })).status, 401);
});

test('a send that asks for it hears what became of the message', async (t) => {
  const live = await Live.start(t, HUB);
  const plane = await Plane.of(live);
  const send = async (path) => (await plane.call('POST', `${path}?acknowledge=5`, { target: 'say', arguments: [1] })).json();
  assert.deepEqual(await send('/:send'), { matched: 0, written: 0, confirmed: 0, dropped: 0 });
  const plain = await live.started({ targets: ['say'] });
  const polling = await live.started({ targets: ['say'], transport: HttpTransportType.LongPolling });
  const stateful = await live.started({ targets: ['say'], stateful: true });
  assert.deepEqual(await send('/:send'), { matched: 3, written: 3, confirmed: 1, dropped: 0 });
  await until('all three', () => [plain, polling, stateful].every((one) => one.calls.length === 1));
  assert.deepEqual(await send(`/connections/${stateful.connectionId}/:send`), { matched: 1, written: 1, confirmed: 1, dropped: 0 });
});

test('a message that a recipient never fetched is told as dropped', async (t) => {
  const live = await Live.start(t, HUB);
  const plane = await Plane.of(live);
  const hub = `${live.url}/hubs/telemetry`;
  const { connectionToken } = await (await fetch(`${hub}/negotiate?negotiateVersion=1`, { method: 'POST' })).json();
  const poll = () => fetch(`${hub}?id=${connectionToken}`);
  await poll();
  await fetch(`${hub}?id=${connectionToken}`, { method: 'POST', body: '{"protocol":"json","version":1}\x1e' });
  assert.equal(await (await poll()).text(), '{}\x1e');
  const witness = await live.started({ targets: ['say'] });
  const sending = plane.call('POST', '/:send?acknowledge=30', { target: 'say', arguments: [1] });
  await until('the other to have it', () => witness.calls.length === 1);
  assert.equal((await fetch(`${hub}?id=${connectionToken}`, { method: 'DELETE' })).status, 202);
  assert.deepEqual(await (await sending).json(), { matched: 2, written: 1, confirmed: 0, dropped: 1 });
});

test('bodies are JSON; rawBytes beside a call are left out, and alone refused', async (t) => {
  const live = await Live.start(t, HUB);
  const plane = await Plane.of(live);
  const connection = await live.started({ targets: ['say'] });
  assert.equal(await plane.status('POST', '/:send', { target: 'say', arguments: ['x'], rawBytes: 'AAEC' }), 202);
  assert.equal(await plane.status('POST', '/:send', { target: 'say', rawBytes: 'AAEC', rawOnly: true }), 400);
  const Authorization = `Bearer ${plane.token}`;
  const binary = (body) => fetch(`${plane.base}/:send`, { method: 'POST', headers: { Authorization, 'Content-Type': 'application/octet-stream' }, body });
  assert.equal((await binary(new Uint8Array([0x93, 1, 2, 3]))).status, 400);
  assert.equal((await binary(JSON.stringify({ target: 'say', arguments: [null] }))).status, 202); // what counts is what it is
  assert.equal((await binary('['.repeat(100_000))).status, 400);
  await until('both', () => connection.calls.length === 2);
  assert.deepEqual(connection.calls, [['say', 'x'], ['say', null]]);
});

test('of the groups that a user is put into, the newest hundred are kept for connections to come', async (t) => {
  const live = await Live.start(t, HUB, GUARDED);
  const plane = await Plane.of(live);
  for (let i = 0; i <= 100; ++i) assert.equal(await plane.status('PUT', `/users/ann/groups/g${i}`), 200);
  assert.equal(await plane.status('HEAD', '/users/ann/groups/g0'), 404);
  assert.equal(await plane.status('HEAD', '/users/ann/groups/g1'), 200);
  assert.equal(await plane.status('HEAD', '/users/ann/groups/g100'), 200);
  const [ann] = await users(live, 'ann');
  for (const group of ['g0', 'g1', 'g100']) assert.equal(await plane.status('POST', `/groups/${group}/:send`, { target: 'say', arguments: [group] }), 202);
  await until('what is for her', () => ann.calls.length === 2);
  assert.deepEqual(ann.calls.map(([, group]) => group), ['g1', 'g100']);
});

test('a program is answered as one, not as a page: OPTIONS needs a token too, and other verbs are named', async (t) => {
  const live = await Live.start(t, HUB);
  const plane = await Plane.of(live);
  assert.equal(await plane.status('OPTIONS', '/:send', undefined, { Origin: 'https://evil.example' }), 401);
  for (const [path, allow] of [['/users/u', 'HEAD'], ['/connections/c/groups', undefined], ['/users/u/groups/g', 'PUT, DELETE, HEAD'], ['/users/u/groups', 'DELETE']]) {
    const answer = await plane.call('OPTIONS', path);
    assert.equal(answer.status, allow ? 405 : 404, path);
    assert.equal(answer.headers.get('allow'), allow ?? null, path);
    assert.equal(answer.headers.get('access-control-allow-origin'), null);
  }
});
