// The page where the listener asks for tokens: it signs in by a link, and its connection outlasts the token that it gets.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Live } from '../signalr/live.mjs';
import { until } from '../support/wait.mjs';
import { launch, open } from './browser.mjs';

test('the page renews its token halfway to its end', async (t) => {
  const live = await Live.start(t, '  - {id: live, plugin: signalr, hub: /hubs/telemetry, token_lifetime: 20s}\n', {
    listen: '{address: 127.0.0.1:0, auth: required}',
  });
  const token = await live.token('--user', 'ann', '--ttl', '1h');
  const browser = await launch(t);
  const said = [];
  const { page, complaints } = await open(t, browser, 'about:blank');
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => said.push({ sent: String(payload) }));
    socket.on('framereceived', ({ payload }) => said.push({ received: String(payload) }));
  });
  await page.goto(`${live.url}/#token=${token}`);
  await page.locator('[data-condition=live]').waitFor();
  assert.equal(new URL(page.url()).hash, '');

  const call = await until('the page to renew', () => said.find(({ sent }) => sent?.includes('"target":"Renew"'))?.sent, { seconds: 120 });
  const { arguments: given, invocationId } = JSON.parse(call.replace('\x1e', ''));
  const claims = JSON.parse(Buffer.from(given[0].split('.')[1], 'base64url'));
  assert.equal(claims.sub, 'ann');
  const answers = () => said.flatMap(({ received = '' }) => received.split('\x1e').filter((text) => text.includes('"type":3')).map((text) => JSON.parse(text)));
  const answer = await until('the answer', () => answers().find((one) => one.invocationId === invocationId));
  assert.equal(answer.result, claims.exp * 1000);
  assert.deepEqual(complaints, []);
});
