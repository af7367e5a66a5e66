// WebSocket and HTTP bytes that no client should send: the connection ends as RFC 6455 says, and the others never notice.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import WebSocket from 'ws';
import { Instance } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';

const HUB = '/hubs/telemetry';
const PIPELINE = `
name: frames
stages:
  - {id: devkit, plugin: emulator, interval: 20ms, devices: 1}
  - {id: live, plugin: signalr, hub: ${HUB}}
`;

function frame(first, payload, { masked = true, length = payload.length } = {}) {
  const head = [first];
  const mask = masked ? 0x80 : 0;
  if (length < 126) head.push(mask | length);
  else if (length < 65536) head.push(mask | 126, length >> 8, length & 255);
  else {
    const long = Buffer.alloc(8);
    long.writeBigUInt64BE(BigInt(length));
    head.push(mask | 127, ...long);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), payload]);
  const key = Buffer.from([1, 2, 3, 4]);
  return Buffer.concat([Buffer.from(head), key, payload.map((byte, i) => byte ^ key[i % 4])]);
}

const text = (s) => Buffer.from(s);
const HANDSHAKE = frame(0x81, text('{"protocol":"json","version":1}\x1e'));

// [what, bytes after the upgrade, close codes that are right; of a frame that is not read to its end the code may be lost with the rest]
const FRAMES = [
  ['a frame without a mask', frame(0x81, text('{}'), { masked: false }), [1002]],
  ['a reserved bit', frame(0xc1, text('{}')), [1002]],
  ['a reserved opcode', frame(0x83, text('{}')), [1002]],
  ['a ping of 126 bytes', frame(0x89, Buffer.alloc(126, 97)), [1002]],
  ['a fragmented ping', frame(0x09, text('x')), [1002]],
  ['a continuation of nothing', frame(0x80, text('x')), [1002]],
  ['invalid UTF-8', frame(0x81, Buffer.from([0xc3, 0x28])), [1007]],
  ['a close frame of one byte', frame(0x88, Buffer.from([3])), [1002]],
  ['a length of 2^62', frame(0x81, text('x'), { length: 2 ** 62 }), [1009, 1002]],
  ['a message of 4 MiB', frame(0x81, Buffer.alloc(4 << 20, 97)), [1009, undefined]],
];

/// Upgrades, sends, and gives what came back until the other side closed.
async function exchange(t, instance, bytes, { handshake = true } = {}) {
  const negotiated = await fetch(`${instance.url}${HUB}/negotiate?negotiateVersion=1`, { method: 'POST' });
  const { connectionToken } = await negotiated.json();
  const socket = connect(instance.port, '127.0.0.1');
  t.after(() => socket.destroy());
  let received = Buffer.alloc(0);
  let ended = false;
  socket.on('data', (data) => (received = Buffer.concat([received, data])));
  socket.on('error', () => (ended = true));
  socket.on('close', () => (ended = true));
  socket.write(
    `GET ${HUB}?id=${encodeURIComponent(connectionToken)} HTTP/1.1\r\nHost: ${instance.address}\r\nUpgrade: websocket\r\n` +
      `Connection: Upgrade\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  await until(() => `the upgrade, got ${received}`, () => received.includes('\r\n\r\n'));
  assert.match(received.toString('latin1'), /^HTTP\/1\.1 101 /);
  if (handshake) socket.write(HANDSHAKE);
  socket.write(bytes);
  await until('the connection to end', () => ended);
  return received.subarray(received.indexOf('\r\n\r\n') + 4);
}

/// The code of the close frame among a server's frames; undefined if it just hung up.
function closeCode(bytes) {
  let at = 0;
  while (at + 2 <= bytes.length) {
    let length = bytes[at + 1] & 127;
    let head = 2;
    if (length === 126) [length, head] = [bytes.readUInt16BE(at + 2), 4];
    else if (length === 127) [length, head] = [Number(bytes.readBigUInt64BE(at + 2)), 10];
    if ((bytes[at] & 15) === 8) return length >= 2 ? bytes.readUInt16BE(at + head) : 1005;
    at += head + length;
  }
  return undefined;
}

test('frames that break the protocol end their connection alone', async (t) => {
  const instance = await Instance.start(t, { 'pipeline.yaml': PIPELINE });

  const witness = new WebSocket(`ws://${instance.address}${HUB}`);
  let heard = 0;
  t.after(() => witness.terminate());
  witness.on('message', () => ++heard);
  await new Promise((resolve, reject) => witness.once('open', resolve).once('error', reject));
  witness.send('{"protocol":"json","version":1}\x1e');

  for (const [what, bytes, codes] of FRAMES) {
    await t.test(what, async (t) => {
      const code = closeCode(await exchange(t, instance, bytes));
      assert.ok(codes.includes(code), `closed with ${code}, expected ${codes}`);
    });
  }
  await t.test('a handshake that is none', async (t) => {
    await exchange(t, instance, frame(0x81, text('hello\x1e')), { handshake: false });
  });

  const before = heard;
  await until('the witness to hear more', () => heard > before + 5);
  assert.ok(instance.child.running);
});

test('requests that are not HTTP are refused', async (t) => {
  const instance = await Instance.start(t, { 'pipeline.yaml': PIPELINE });
  for (const [bytes, status] of [
    ['this is not http\r\n\r\n', 400],
    // Of a head that is not read to its end the answer may be lost with the rest.
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(1 << 20)}\r\n\r\n`, 431, undefined],
    ['POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n', 400],
    [Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x0d, 0x0a, 0x0d, 0x0a]), 400],
  ].map(([sent, ...right]) => [sent, right])) {
    const socket = connect(instance.port, '127.0.0.1');
    t.after(() => socket.destroy());
    let answer = '';
    let ended = false;
    socket.on('data', (data) => (answer += data)).on('error', () => (ended = true)).on('close', () => (ended = true));
    socket.write(bytes);
    await until(`the end of ${bytes.slice(0, 30)}`, () => ended);
    const answered = answer === '' ? undefined : Number(answer.match(/^HTTP\/1\.1 (\d\d\d) /)?.[1]);
    assert.ok(status.includes(answered), `${bytes.slice(0, 30)}: ${answer}`);
  }
  assert.equal((await fetch(`${instance.url}/healthz`)).status, 200);
});
