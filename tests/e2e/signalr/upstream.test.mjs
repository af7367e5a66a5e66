// A web server hears of the hub's clients and answers for it, as with Azure SignalR Service's upstream.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import test from 'node:test';
import { until } from '../support/wait.mjs';
import { Live } from './live.mjs';

/// Notes what comes; `answer(request)` gives {status, body}, or a promise of them.
async function receiver(t, answer = () => ({ status: 200, body: '' })) {
  const noted = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text) => (body += text));
    request.on('end', async () => {
      const one = { path: request.url, headers: request.headers, body: JSON.parse(body) };
      noted.push(one);
      const { status, body: text = '' } = await answer(one, noted.length);
      response.writeHead(status).end(text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { noted, url: `http://127.0.0.1:${server.address().port}` };
}

const hub = (url, more = '') => `
  - id: live
    plugin: signalr
    hub: /hubs/telemetry
    upstream_keys: [first-key, second-key]
    upstream:
      - {url: "${url}/api/{hub}/{category}/{event}"${more}}
`;
const GUARDED = { listen: '{address: 127.0.0.1:0, auth: required}' };

test('it hears who comes, calls and goes, in order and signed', async (t) => {
  const { noted, url } = await receiver(t, ({ body }) => (body.Target === 'add' ? { status: 200, body: String(body.Arguments[0] + body.Arguments[1]) } : { status: 204 }));
  const live = await Live.start(t, hub(url), GUARDED);
  const connection = await live.started({ token: await live.token('--user', 'ann', '--right', 'read', '--right', 'command') });
  const id = connection.connectionId;
  assert.equal(await connection.invoke('add', 2, 3), 5);
  assert.equal(await connection.invoke('tell me', { a: null }), undefined);
  await connection.send('add', 1, 1);
  await until('the third call', () => noted.length === 4);
  await connection.stop();
  await until('the end', () => noted.length === 5);
  assert.deepEqual(noted.map(({ path }) => path), [
    '/api/telemetry/connections/connected', '/api/telemetry/messages/add', '/api/telemetry/messages/tell%20me', '/api/telemetry/messages/add',
    '/api/telemetry/connections/disconnected',
  ]);
  const signature = ['first-key', 'second-key'].map((key) => `sha256=${createHmac('sha256', key).update(id).digest('hex')}`).join(',');
  for (const { headers } of noted) {
    assert.equal(headers['x-asrs-connection-id'], id);
    assert.equal(headers['x-asrs-hub'], 'telemetry');
    assert.equal(headers['x-asrs-user-id'], 'ann');
    assert.equal(headers['x-asrs-signature'], signature);
    assert.match(headers['x-asrs-user-claims'], /sub: ann/);
    assert.equal((headers['x-asrs-client-query'] ?? '').includes('access_token'), false);
  }
  assert.deepEqual(noted[0].body, { Type: 10 });
  assert.deepEqual({ ...noted[1].body, InvocationId: '' }, { Type: 1, Target: 'add', Arguments: [2, 3], InvocationId: '' });
  assert.equal('InvocationId' in noted[3].body, false);
});

test('who may not command calls nothing there; an error there is the error of the call', async (t) => {
  const { noted, url } = await receiver(t, () => ({ status: 418 }));
  const live = await Live.start(t, hub(url, ', categories: messages'), GUARDED);
  const reader = await live.started({ token: await live.token('--user', 'eve') });
  await assert.rejects(reader.invoke('add'), /Unknown hub method 'add'/);
  const ann = await live.started({ token: await live.token('--user', 'ann', '--right', 'read,command') });
  await assert.rejects(ann.invoke('add'), /status 418/);
  assert.equal(noted.length, 1);
});

test('a server that is busy is asked again, and that is counted', async (t) => {
  const { noted, url } = await receiver(t, (_, count) => ({ status: count === 1 ? 503 : 200, body: '"at last"' }));
  const live = await Live.start(t, hub(url, ', categories: messages, events: [wait]'));
  const connection = await live.started();
  assert.equal(await connection.invoke('wait'), 'at last');
  assert.equal(noted.length, 2);
  await assert.rejects(connection.invoke('other'), /Unknown hub method/);
  await until('the count', async () => (await live.metric('millrace_stage_upstream_retried_total', { stage: 'live' })) === 1);
});

test('calls beyond what may wait for a slow server are refused at once, and counted', async (t) => {
  let release;
  const stalled = new Promise((resolve) => (release = resolve));
  const { noted, url } = await receiver(t, () => stalled.then(() => ({ status: 200, body: '1' })));
  t.after(() => release());
  const live = await Live.start(t, hub(url, ', categories: messages'));
  const connection = await live.started();
  const late = [];
  const call = (name) => void connection.invoke(name).catch((error) => late.push(error.message));
  call('first');
  await until('the first to be on its way', () => noted.length === 1);
  for (let i = 0; i < 1000; ++i) await connection.send('waits');
  for (let i = 0; i < 20; ++i) call('too many');
  const refused = () => late.filter((message) => message.includes('status 503')).length;
  await until('some to be refused', () => refused() > 0);
  // How many depends on how many attempts time out meanwhile; all that were refused were counted.
  await until('the count', async () => (await live.metric('millrace_stage_upstream_dropped_total', { stage: 'live' })) === refused());
});

test('what stays on this machine passes by the proxy of the environment, what does not goes to it', async (t) => {
  const proxy = await receiver(t, () => ({ status: 200, body: '"by the proxy"' }));
  const { noted, url } = await receiver(t, () => ({ status: 200, body: '"straight"' }));
  const port = new URL(url).port;
  const stages = `
  - id: live
    plugin: signalr
    hub: /hubs/telemetry
    upstream_keys: [key]
    upstream:
      - {url: "http://127.0.0.1:${port}/{event}", events: [here]}
      - {url: "http://LOCALHOST:${port}/{event}", events: [by name]}
      - {url: "http://upstream.invalid/{event}", events: [there]}
`;
  const env = { http_proxy: proxy.url, all_proxy: proxy.url, no_proxy: '', NO_PROXY: '' };
  const connection = await (await Live.start(t, stages, { env })).started();
  assert.equal(await connection.invoke('here'), 'straight');
  assert.equal(await connection.invoke('by name'), 'straight');
  assert.equal(await connection.invoke('there'), 'by the proxy');
  assert.deepEqual(noted.map(({ path }) => path), ['/here', '/by%20name']);
  assert.deepEqual(proxy.noted.map(({ path }) => path), ['http://upstream.invalid/there']);
});
