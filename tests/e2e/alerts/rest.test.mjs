// Alerts and silences over REST and on the command line, at one running instance: what the one does the other sees.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { test } from 'node:test';
import { Instance, millrace } from '../support/millrace.mjs';
import { FILE_SOURCE, HOT_RULE } from '../support/stages.mjs';
import { until } from '../support/wait.mjs';

const PIPELINE = (listen = '') => `
name: house
${listen}
stages:${FILE_SOURCE}
  - id: climate
    plugin: alert
    time: {field: ts, late: 1h, catch_up: 0s}
    rules:${HOT_RULE}
        labels: {site: north}
`;

async function start(t, listen, options) {
  const instance = await Instance.prepare(t, { 'pipeline.yaml': PIPELINE(listen), 'in.jsonl': '' }, options);
  await instance.up();
  instance.ts = Date.now() - 60_000;
  return instance;
}

/// A reading of each device, and waits until the history knows what came of it.
async function read(instance, temperatures, state) {
  instance.ts += 1000;
  for (const [deviceId, temperature] of Object.entries(temperatures))
    appendFileSync(instance.path('in.jsonl'), JSON.stringify({ deviceId, temperature, ts: instance.ts }) + '\n');
  for (const key of Object.keys(temperatures))
    await until(`${key} to be ${state}`, async () => {
      const rows = await instance.query(`select state from alert_state where key = '${key}'`);
      return rows[0]?.state === state;
    });
}

function client(instance, token) {
  const authorization = token ? { Authorization: `Bearer ${token}` } : {};
  return async (method, path, body, headers = {}) => {
    const response = await fetch(`${instance.url}${path}`, {
      method,
      headers: { ...authorization, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    if (method !== 'HEAD') assert.equal(response.headers.get('content-type'), 'application/json', `${method} ${path}`);
    return { status: response.status, headers: response.headers, json: text === '' ? undefined : JSON.parse(text) };
  };
}

const ALERTS = '/api/alerts';
const at = (key, n) => `${ALERTS}/house/climate/hot/${key}%23${n}`;

test('alerts are listed, shown, acknowledged and commented on', async (t) => {
  const instance = await start(t);
  const ask = client(instance);
  assert.deepEqual((await ask('GET', ALERTS)).json, { alerts: [] });
  await read(instance, { a: 31, b: 32, 'c/d #1?': 33 }, 'FIRING');
  await read(instance, { b: 20 }, 'OK');

  const all = await ask('GET', ALERTS);
  assert.equal(all.status, 200);
  assert.equal(all.headers.get('cache-control'), 'no-store');
  assert.deepEqual(new Set(all.json.alerts.map((a) => a.key)), new Set(['a', 'b', 'c/d #1?']));
  assert.equal(all.json.next, undefined);
  // What has ended shows the level that it had, as the record that told of the end did.
  assert.deepEqual(new Set(all.json.alerts.map((a) => `${a.state} ${a.level}`)), new Set(['FIRING critical', 'OK critical']));
  assert.deepEqual((await ask('GET', at('b', 1))).json.timeline.map((row) => `${row.to} ${row.level}`), ['FIRING critical', 'OK critical']);
  const keys = async (query) => (await ask('GET', `${ALERTS}?${query}`)).json.alerts.map((a) => a.key);
  assert.deepEqual(await keys('state=OK'), ['b']);
  assert.deepEqual(await keys('key=a&rule=hot&pipeline=house&stage=climate'), ['a']);
  assert.deepEqual(await keys('rule=cold'), []);
  assert.deepEqual(await keys(`since=${instance.ts + 1}`), []);
  assert.deepEqual((await keys(`since=${encodeURIComponent(new Date(instance.ts - 1000).toISOString())}`)).length, 3);
  assert.deepEqual(await keys(`until=${instance.ts - 1000}`), []);

  const paged = [];
  let cursor = '';
  for (let pages = 0; pages < 3; ++pages) {
    const page = (await ask('GET', `${ALERTS}?limit=1${cursor}`)).json;
    assert.equal(page.alerts.length, 1);
    paged.push(page.alerts[0].key);
    assert.equal(page.next !== undefined, pages < 2);
    cursor = `&cursor=${page.next}`;
  }
  assert.deepEqual(paged, all.json.alerts.map((a) => a.key));

  for (const query of ['state=SLEEPING', 'limit=0', 'limit=501', 'limit=ten', 'cursor=x', 'since=2h', 'colour=red', 'key=a&key=b']) {
    const wrong = await ask('GET', `${ALERTS}?${query}`);
    assert.equal(wrong.status, 400, query);
    assert.equal(typeof wrong.json.error, 'string');
  }

  const acked = await ask('POST', `${at('a', 1)}/ack`, { by: 'ada', comment: 'on my way' });
  assert.equal(acked.status, 200);
  assert.deepEqual(acked.json, { incident: 'house/climate/hot/a#1', rule: 'hot', key: 'a', outcome: 'acknowledged', acked_by: 'ada' });
  const again = await ask('POST', `${at('a', 1)}/ack`, { by: 'bob' });
  assert.equal(again.status, 200);
  assert.equal(again.json.outcome, 'already');
  assert.equal(again.json.acked_by, 'ada');
  assert.equal((await ask('POST', `${at('b', 1)}/ack`, { by: 'bob' })).status, 409);
  assert.equal((await ask('POST', `${at('nobody', 1)}/ack`, { by: 'bob' })).status, 404);
  assert.equal((await ask('POST', `${at('a', 1)}/ack`, {})).status, 400);
  const odd = encodeURIComponent('house/climate/hot/c/d #1?#1');
  assert.equal((await ask('POST', `${ALERTS}/${odd}/ack`, { by: 'ada' })).json.outcome, 'acknowledged');

  const said = await ask('POST', `${at('b', 1)}/comments`, { by: 'bob', comment: 'a window stood open' });
  assert.equal(said.status, 201);
  const listed = await millrace(t, ['alerts', 'list', '--state', 'OK', '--data', instance.data]);
  assert.match(listed.stdout, /OK +critical +house\/climate\/hot\/b#1/);
  assert.equal((await ask('POST', `${at('b', 1)}/comments`, { by: 'bob' })).status, 400);

  const whole = (await ask('GET', at('a', 1))).json;
  assert.deepEqual(whole.timeline.map((row) => row.reason), ['condition', 'ack:ada', 'ack_ignored']);
  assert.equal(whole.timeline[1].comment, 'on my way');
  assert.equal(whole.acked_by, 'ada');
  assert.equal(whole.timeline[0].run, '1');
  assert.ok(!JSON.stringify(whole).includes('null'));
  assert.equal((await ask('GET', at('b', 1))).json.timeline.at(-1).comment, 'a window stood open');

  assert.equal((await ask('HEAD', ALERTS)).status, 200);
  assert.equal((await ask('GET', at('a', 2))).status, 404);
  assert.equal((await ask('GET', `${ALERTS}/a`)).status, 404);
  assert.equal((await ask('GET', `${at('a', 1)}/elsewhere`)).status, 404);
  const refused = await ask('DELETE', at('a', 1));
  assert.equal(refused.status, 405);
  assert.equal(refused.headers.get('allow'), 'GET, HEAD');
  assert.equal((await ask('GET', `${at('a', 1)}/ack`)).headers.get('allow'), 'POST');
  const ack = `${at('a', 1)}/ack`;
  assert.equal((await ask('POST', ack, '{"by": "ada"', {})).status, 400);
  assert.equal((await ask('POST', ack, '[]', {})).status, 400);
  assert.equal((await ask('POST', ack, { by: 'ada', colour: 'red' })).status, 400);
  assert.equal((await ask('POST', ack, { by: 7 })).status, 400);
  assert.equal((await ask('POST', ack, '{"by":"ada"}', { 'Content-Type': 'text/plain' })).status, 415);
  assert.equal((await ask('POST', ack, { by: 'ada', comment: 'x'.repeat(17_000) })).status, 413);
  assert.equal((await ask('POST', ack, { by: 'eve' }, { Origin: 'https://evil.example' })).status, 403);

  const printed = await millrace(t, ['alerts', 'ack', 'a', '--by', 'cy', '--data', instance.data]);
  assert.equal(printed.code, 0);
  assert.match(printed.stdout, /already acknowledged by ada; recorded, and ignored/);
  const noted = await millrace(t, ['alerts', 'comment', 'a', 'seen', '--by', 'cy', '--data', instance.data]);
  assert.equal(noted.code, 0, noted.stderr);
  assert.equal((await ask('GET', at('a', 1))).json.timeline.at(-1).comment, 'seen');
});

test('a silence, wherever it is made, survives a kill and can be ended anywhere', async (t) => {
  const instance = await start(t);
  const ask = client(instance);
  await read(instance, { a: 31 }, 'FIRING');
  const made = await ask('POST', '/api/silences', { key: 'a', rule: 'hot', for: '2h', by: 'ada', comment: 'painting' });
  assert.equal(made.status, 201);
  assert.equal(made.json.silences.length, 1);
  const { id } = made.json.silences[0];
  const printed = await millrace(t, ['alerts', 'silence', '--key', 'b', '--for', '1h', '--by', 'bob', '--id', 'b', '--data', instance.data]);
  assert.equal(printed.code, 0, printed.stderr);

  await instance.child.kill('SIGKILL');
  await instance.up();
  const held = (await ask('GET', '/api/silences')).json.silences;
  assert.deepEqual(held.map((s) => [s.id, s.state, s.by, s.comment]), [
    [id, 'active', 'ada', 'painting'],
    ['b', 'active', 'bob', undefined],
  ]);
  await read(instance, { b: 31 }, 'FIRING');
  const muted = (await ask('GET', at('b', 1))).json;
  assert.equal(muted.timeline[0].suppressed_by, 'silence:b');
  assert.equal(muted.silences[0].id, 'b');
  assert.deepEqual((await ask('GET', at('a', 1))).json.timeline.map((row) => row.reason), ['condition', 'silenced']);

  assert.equal((await ask('DELETE', `/api/silences/${encodeURIComponent(id)}`)).status, 200);
  assert.equal((await ask('DELETE', `/api/silences/${encodeURIComponent(id)}`)).status, 404);
  const ended = await millrace(t, ['alerts', 'unsilence', 'b', '--by', 'bob', '--data', instance.data]);
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual((await ask('GET', '/api/silences')).json.silences, []);
  assert.equal((await ask('GET', '/api/silences?all=true')).json.silences.length, 2);

  assert.equal((await ask('POST', '/api/silences', { by: 'ada' })).status, 400);
  assert.equal((await ask('POST', '/api/silences', { by: 'ada', for: 'ever' })).status, 400);
  assert.equal((await ask('POST', '/api/silences', { for: '1h' })).status, 400);
  const unknown = await ask('POST', '/api/silences', { by: 'ada', for: '1h', rule: 'hott' });
  assert.equal(unknown.status, 422);
  assert.match(unknown.json.error, /did you mean 'hot'/);
  assert.equal((await ask('POST', '/api/silences', { by: 'ada', to: 1000 })).status, 422);
  assert.equal((await ask('POST', '/api/silences', { by: 'ada', for: '1h', stage: 'nowhere' })).status, 422);
  assert.equal((await ask('PUT', '/api/silences', {})).headers.get('allow'), 'GET, HEAD, POST');
  assert.equal((await ask('GET', '/api/silences/b')).headers.get('allow'), 'DELETE');
});

test('a silence that is for one alert ends with it, by whichever way it is made, also over a kill', async (t) => {
  const instance = await start(t);
  const ask = client(instance);
  const once = { key: 'a', once: true, for: '1d', by: 'ada' };
  const none = await ask('POST', '/api/silences', once);
  assert.equal(none.status, 422);
  assert.match(none.json.error, /'a' has no open alert/);
  await read(instance, { a: 31, b: 31 }, 'FIRING');
  const made = await ask('POST', '/api/silences', once);
  assert.equal(made.status, 201, JSON.stringify(made.json));
  assert.equal(made.json.silences[0].once, true);
  const printed = await millrace(t, ['alerts', 'silence', '--key', 'b', '--once', '--for', '1d', '--by', 'bob', '--id', 'b', '--data', instance.data]);
  assert.equal(printed.code, 0, printed.stderr);
  assert.match(printed.stdout, /silent until .*, or the alert's end/);

  await instance.child.kill('SIGKILL');
  await instance.up();
  const held = async () => (await ask('GET', '/api/silences')).json.silences.map(({ key, once: is, state }) => [key, is, state]);
  assert.deepEqual(await held(), [['a', true, 'active'], ['b', true, 'active']]);
  const listed = await millrace(t, ['alerts', 'silences', '--data', instance.data]);
  assert.match(listed.stdout, /^b .*, or the alert's end {2}by bob$/m);

  // Their ends are in the transactions of the alerts' ends, which are awaited here.
  await read(instance, { a: 20, b: 20 }, 'OK');
  assert.deepEqual(await held(), []);
  const over = (await ask('GET', '/api/silences?all=true')).json.silences;
  assert.deepEqual(over.map(({ key, state, ended, to }) => [key, state, ended < to]), [['a', 'ended', true], ['b', 'ended', true]]);
  await read(instance, { a: 31, b: 31 }, 'FIRING');
  for (const key of ['a', 'b']) {
    assert.equal((await ask('GET', at(key, 2))).json.timeline[0].suppressed_by, undefined);
    assert.deepEqual((await ask('GET', at(key, 2))).json.silences, []);
  }

  assert.equal((await ask('POST', '/api/silences', { ...once, once: 'yes' })).status, 400);
  assert.equal((await ask('POST', '/api/silences', { ...once, from: Date.now() })).status, 400);
  assert.equal((await ask('POST', '/api/silences', { ...once, for: undefined })).status, 400);
  assert.equal((await ask('POST', '/api/silences', { ...once, key: 'a*' })).status, 422);
  assert.equal((await ask('POST', '/api/silences', { ...once, key: undefined })).status, 422);
});

test('a silence mutes what its patterns match, by whichever way it is made', async (t) => {
  const instance = await start(t);
  const ask = client(instance);
  const made = await ask('POST', '/api/silences', { key: 'attic-?', labels: { site: 'n*' }, for: '2h', by: 'ada' });
  assert.equal(made.status, 201, JSON.stringify(made.json));
  assert.deepEqual(made.json.silences[0].labels, { site: 'n*' });
  const silence = ['alerts', 'silence', '--rule', 'h*', '--key', 'cellar-*', '--label', 'site=north', '--for', '1h', '--by', 'bob'];
  const printed = await millrace(t, [...silence, '--id', 'cellar', '--data', instance.data]);
  assert.equal(printed.code, 0, printed.stderr);
  assert.equal((await millrace(t, [...silence, '--label', 'site', '--data', instance.data])).code, 2);
  assert.equal((await ask('POST', '/api/silences', { labels: { site: 7 }, for: '2h', by: 'ada' })).status, 400);

  await read(instance, { 'attic-1': 31, 'attic-10': 31, 'cellar-1': 31 }, 'FIRING');
  const suppressor = async (key) => (await ask('GET', at(key, 1))).json.timeline[0].suppressed_by;
  assert.equal(await suppressor('attic-1'), `silence:${made.json.silences[0].id}`);
  assert.equal(await suppressor('attic-10'), undefined);
  assert.equal(await suppressor('cellar-1'), 'silence:cellar');
  assert.deepEqual((await ask('GET', at('cellar-1', 1))).json.silences.map(({ id, labels }) => [id, labels]), [['cellar', { site: 'north' }]]);

  const listed = await millrace(t, ['alerts', 'silences', '--data', instance.data]);
  assert.match(listed.stdout, /cellar .* rule h\* {2}key cellar-\* {2}site north/);
  const ended = await millrace(t, ['alerts', 'unsilence', '--rule', 'h*', '--key', 'cellar-*', '--label', 'site=north', '--by', 'bob', '--data', instance.data]);
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal((await ask('GET', '/api/silences')).json.silences.length, 1);
});

test('without a running instance alerts can be read, and whoever would change something is told why not', async (t) => {
  const instance = await start(t);
  await read(instance, { a: 31 }, 'FIRING');
  await instance.down();
  const listed = await millrace(t, ['alerts', 'list', '--data', instance.data]);
  assert.match(listed.stdout, /FIRING +critical +house\/climate\/hot\/a#1/);
  for (const change of [['ack', 'a'], ['comment', 'a', 'seen'], ['silence', '--key', 'a', '--for', '1h'], ['unsilence', '--key', 'a']]) {
    const { code, stderr } = await millrace(t, ['alerts', ...change, '--by', 'ada', '--data', instance.data]);
    assert.equal(code, 1, change.join(' '));
    assert.ok(stderr.includes(`no instance runs on ${instance.data}, and only a running one can do that; start it with`), stderr);
  }
  await instance.up();
  const { json } = await client(instance)('GET', at('a', 1));
  assert.deepEqual([json.state, json.timeline.map(({ reason }) => reason)], ['FIRING', ['condition']]);
});

test('a token for some devices shows no alert of others, and acts on none', async (t) => {
  const instance = await start(t, 'listen: {auth: required}', {});
  const { stdout } = await millrace(t, ['token', '--data', instance.data, '--user', 'ann', '--group', 'device:a*', '--right', 'read', '--right', 'ack']);
  const ann = client(instance, stdout.trim());
  await read(instance, { a1: 31, b: 31 }, 'FIRING');
  assert.deepEqual((await ann('GET', ALERTS)).json.alerts.map((alert) => alert.key), ['a1']);
  assert.deepEqual((await ann('GET', `${ALERTS}?key=b`)).json, { alerts: [] });
  assert.equal((await ann('GET', at('a1', 1))).status, 200);
  // What they may not see looks like what is not there.
  const absent = await ann('GET', at('c', 1));
  for (const answer of [await ann('GET', at('b', 1)), await ann('POST', `${at('b', 1)}/ack`), await ann('POST', `${at('b', 1)}/comments`, { comment: 'x' })]) {
    assert.equal(answer.status, 404);
    assert.equal(answer.json.error, absent.json.error.replace('/c#', '/b#'));
  }
  assert.equal((await ann('POST', `${at('a1', 1)}/ack`)).json.acked_by, 'ann');
  for (const [method, path, body] of [['GET', '/api/silences'], ['POST', '/api/silences', { for: '1h' }], ['DELETE', '/api/silences/x']])
    assert.equal((await ann(method, path, body)).status, 403, method);
});

test('where tokens are demanded, each right opens its own doors, and the token says who it was', async (t) => {
  const instance = await start(t, 'listen: {auth: required}', {});
  const mint = async (...rights) => {
    const { stdout, code, stderr } = await millrace(t, ['token', '--data', instance.data, '--user', 'ada', ...rights.flatMap((right) => ['--right', right])]);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  await read(instance, { a: 31 }, 'FIRING');
  const nobody = client(instance);
  const refused = await nobody('GET', ALERTS);
  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get('www-authenticate'), 'Bearer');
  assert.equal((await nobody('POST', `${at('a', 1)}/ack`, { by: 'eve' })).status, 401);
  assert.equal((await client(instance, 'forged')('GET', ALERTS)).status, 401);
  const reader = client(instance, await mint('read'));
  assert.equal((await reader('GET', at('a', 1))).status, 200);
  assert.equal((await reader('POST', `${at('a', 1)}/ack`, {})).status, 403);
  assert.equal((await reader('POST', '/api/silences', { for: '1h' })).status, 403);
  assert.equal((await reader('DELETE', '/api/silences/x')).status, 403);
  const keeper = client(instance, await mint('read', 'ack'));
  assert.equal((await keeper('POST', `${at('a', 1)}/ack`, { by: 'somebody else' })).status, 400);
  assert.equal((await keeper('POST', `${at('a', 1)}/ack`)).json.acked_by, 'ada');
  assert.equal((await keeper('POST', '/api/silences', { for: '1h' })).json.silences[0].by, 'ada');
});
