// Who gets what, and in which form.
import assert from 'node:assert/strict';
import test from 'node:test';
import { until } from '../support/wait.mjs';
import { Live, devices, got, items } from './live.mjs';

const stage = (id, options) => `
  - id: ${id}
    plugin: signalr
    from: input
    hub: /hubs/telemetry
    ${options}
`;

test('several stages share a hub, each with its own audience; nobody gets a record twice', async (t) => {
  const live = await Live.start(
    t,
    stage('interested', 'target: telemetry') +
      stage('rooms', 'target: room\n    to: {group: "room:{room}"}\n    arguments: object') +
      stage('owners', 'target: mine\n    to: {user: "{owner}"}\n    arguments: object\n    envelope: false'),
    { listen: '{address: 127.0.0.1:0, auth: required}' },
  );
  const targets = ['room', 'mine'];
  const ann = await live.started({ token: await live.token('--user', 'ann'), targets });
  const bob = await live.started({ token: await live.token('--user', 'bob'), targets });
  await bob.invoke('Subscribe', 'device:a', { group: 'room:1' });
  await ann.invoke('Subscribe', { group: 'room:2' });
  live.feed({ device: 'a', room: '1', owner: 'ann', v: 1 }, { device: 'b', room: '2', owner: 'bob', v: 2 });
  await until('all of it', () => ann.records.length === 2 && ann.calls.length === 2 && bob.records.length === 1 && bob.calls.length === 2);
  const mine = (connection) => connection.calls.filter(([target]) => target === 'mine');
  const rooms = (connection) => connection.calls.filter(([target]) => target === 'room').map(([, record]) => record.device);
  assert.deepEqual(devices(ann), ['a', 'b']); // only a device's group restricts what it gets
  assert.deepEqual(rooms(ann), ['b']);
  assert.deepEqual(mine(ann), [['mine', { at: 1000, device: 'a', room: '1', owner: 'ann', v: 1 }]]);
  assert.deepEqual(devices(bob), ['a']);
  assert.deepEqual(rooms(bob), ['a']);
  assert.deepEqual(mine(bob), [['mine', { at: 1000, device: 'b', room: '2', owner: 'bob', v: 2 }]]);
});

test('a record that lacks what `to` needs is a dead letter, and the others go out', async (t) => {
  const live = await Live.start(t, stage('rooms', 'to: {group: "room:{room}"}') + stage('all', 'to: all\n    target: every'));
  const every = await live.started({ targets: ['every'] });
  live.feed({ device: 'a' }, { device: 'b', room: 1 });
  await until('both', () => every.calls.flatMap(([, list]) => list).length === 2);
  await until('the dead letter', async () => (await live.query("select count(*) as n from dead_letter where stage = 'rooms'"))[0]?.n === 1);
});

for (const [shape, expected] of Object.entries({
  list: (records) => [['m', records]],
  object: (records) => records.map((record) => ['m', record]),
  text: (records) => records.map((record) => ['m', JSON.stringify(record)]),
  list_text: (records) => [['m', JSON.stringify(records)]],
})) {
  test(`arguments: ${shape}`, async (t) => {
    const live = await Live.start(t, stage('live', `target: m\n    arguments: ${shape}\n    envelope: false`));
    const connection = await live.started({ targets: ['m'] });
    live.feed({ device: 'a', text: 'é "quoted"' }, { device: 'b', v: 1.5 });
    const records = [{ at: 1000, device: 'a', text: 'é "quoted"' }, { at: 1000, device: 'b', v: 1.5 }];
    await until('all calls', () => connection.calls.length === expected(records).length);
    assert.deepEqual(connection.calls, expected(records));
  });
}

test('`to: all` reaches those who subscribed to something else; `except` leaves one out', async (t) => {
  const live = await Live.start(t, stage('live', 'target: news\n    to: {audience: all, except: "{from}"}\n    arguments: object\n    envelope: false'));
  const one = await live.started({ targets: ['news'] });
  const two = await live.started({ targets: ['news'] });
  await one.invoke('Subscribe', 'elsewhere');
  live.feed({ device: 'a', from: two.connectionId }, { device: 'a', from: 'nobody' });
  await until('the second at both', () => one.calls.length === 2 && two.calls.length === 1);
  assert.equal(two.calls[0][1].from, 'nobody');
});

test('a Lua stage returns messages as an Azure function does, and they are sent so', async (t) => {
  const live = await Live.start(
    t,
    `
  - id: function
    plugin: lua
    code: |
      function process(record)
        if record.join then return Record({action = "add", connectionId = record.join, groupName = "club"}) end
        return Record({target = "newMessage", arguments = list{record.text, {n = 1}}, connectionId = record.one, groupName = record.group})
      end
  - id: live
    plugin: signalr
    hub: /hubs/telemetry
    messages: true
`,
  );
  const one = await live.started({ targets: ['newMessage'] });
  const two = await live.started({ targets: ['newMessage'] });
  live.feed({ device: 'x', text: 'to all' }, { device: 'x', text: 'to one', one: one.connectionId });
  await until('both', () => one.calls.length === 2 && two.calls.length === 1);
  assert.deepEqual(one.calls, [['newMessage', 'to all', { n: 1 }], ['newMessage', 'to one', { n: 1 }]]);
  live.feed({ device: 'x', join: two.connectionId }, { device: 'x', text: 'to the club', group: 'club' });
  await until('the club', () => two.calls.length === 2);
  assert.equal(two.calls[1][1], 'to the club');
  assert.equal(one.calls.length, 2);
});

test('a connection goes before a user, and that before a group; users join groups and leave them', async (t) => {
  const live = await Live.start(
    t,
    `
  - id: function
    plugin: lua
    code: |
      function process(record) return Record(record.message) end
  - id: live
    plugin: signalr
    hub: /hubs/telemetry
    messages: true
`,
    { listen: '{address: 127.0.0.1:0, auth: required}' },
  );
  const targets = ['say'];
  const ann = await live.started({ token: await live.token('--user', 'ann'), targets });
  const bob = await live.started({ token: await live.token('--user', 'bob'), targets });
  const send = (...messages) => live.feed(...messages.map((message) => ({ device: 'x', message })));
  const say = (text, to = {}) => ({ target: 'say', arguments: [text], ...to });
  const heard = (connection) => connection.calls.map(([, text]) => text);
  send(
    say('to a connection', { connectionId: ann.connectionId, userId: 'bob', groupName: 'club' }),
    say('to a user', { userId: 'bob', groupName: 'club' }),
    { action: 'add', userId: 'bob', groupName: 'club' },
    say('to the club', { groupName: 'club' }),
  );
  await until('what is for them', () => heard(ann).length === 1 && heard(bob).length === 2);
  const late = await live.started({ token: await live.token('--user', 'bob'), targets });
  send(say('to the club again', { groupName: 'club' }));
  await until('who came later', () => heard(late).length === 1);
  send({ action: 'remove', userId: 'bob', groupName: 'club' }, say('to nobody', { groupName: 'club' }), { action: 'add', connectionId: ann.connectionId, groupName: 'club' });
  send({ action: 'removeAll', connectionId: ann.connectionId }, say('to nobody', { groupName: 'club' }), say('the end'));
  await until('the end', () => [ann, bob, late].every((one) => heard(one).includes('the end')));
  assert.deepEqual(heard(ann), ['to a connection', 'the end']);
  assert.deepEqual(heard(bob), ['to a user', 'to the club', 'to the club again', 'the end']);
  assert.deepEqual(heard(late), ['to the club again', 'the end']);
  send({ target: 'say' }, { arguments: [1] }, { action: 'dance', userId: 'ann', groupName: 'club' }, { action: 'add', groupName: 'club' }, say('x', { userId: 7 }));
  await until('the dead letters', async () => (await live.query("select count(*) as n from dead_letter where stage = 'live'"))[0]?.n === 5);
});

test('what a client has missed comes back, and what is gone is said to be', async (t) => {
  const live = await Live.start(t, stage('live', 'history: {records: 5}'));
  const connection = await live.started();
  live.feed(...Array.from({ length: 3 }, (_, i) => ({ device: 'a', v: i })));
  await got(connection, 3);
  const { epoch } = connection.records[0];
  assert.deepEqual(connection.records.map((r) => r.seq), [1, 2, 3]);
  const last = connection.records.at(-1);
  await connection.stop();

  live.feed(...Array.from({ length: 4 }, (_, i) => ({ device: 'a', v: 3 + i })));
  live.feed({ device: 'new', v: 0 });
  const back = await live.started();
  await until('the latest of both', () => back.records.some((r) => r.seq === 7) && back.records.some((r) => r.device === 'new'));
  const seen = [{ device: 'a', fields: Object.keys(last.fields), seq: 3 }];
  const missed = await items(back.stream('Recover', epoch, seen));
  assert.deepEqual(missed.filter((r) => r.device === 'a').map((r) => [r.seq, r.fields.v]), [[4, 3], [5, 4], [6, 5], [7, 6]]);
  assert.deepEqual(missed.filter((r) => r.device === 'new').map((r) => r.seq), [1]);
  assert.deepEqual(missed.at(-1), { epoch, recovered: true });

  const fields = Object.keys(last.fields);
  assert.deepEqual((await items(back.stream('History', { device: 'a', fields }, 4, 5))).map((r) => r.seq), [4, 5]);
  const gone = await items(back.stream('History', 'a', 1, 4));
  assert.deepEqual(gone[0], { gap: { from: 1, to: 2 }, device: 'a', epoch });
  assert.deepEqual(gone.slice(1).map((r) => r.seq), [3, 4]);
  assert.deepEqual(await items(back.stream('History', 'unknown', 1, 4)), [{ gap: { from: 1, to: null }, device: 'unknown', epoch }]);

  const partial = await items(back.stream('Recover', epoch, [{ device: 'a', fields, seq: 1 }, { device: 'new', seq: 1 }]));
  assert.deepEqual(partial[0].gap, { from: 2, to: 2 });
  assert.deepEqual(partial.at(-1), { epoch, recovered: false });
  const foreign = await items(back.stream('Recover', 'another', seen));
  assert.deepEqual(foreign[0].gap, { from: 4, to: null });
  assert.deepEqual(foreign.at(-1), { epoch, recovered: false });
  await assert.rejects(items(back.stream('Recover', epoch, 'all')), /Expected the epoch/);
});
