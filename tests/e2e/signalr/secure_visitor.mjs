// Visits the test hub at the given https address with every combination of transport and hub protocol, and prints what it got as
// one JSON line each. A program of its own, because Node takes the authorities that it trusts from NODE_EXTRA_CA_CERTS at start.
import { HttpTransportType, HubConnectionBuilder, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { combinations, nameOf } from './hub_client.mjs';

const { LongPolling, WebSockets } = HttpTransportType;
const base = process.argv[2];

async function visit(path, { transport, messagepack }, ask) {
  const builder = new HubConnectionBuilder().withUrl(base + path, { transport }).configureLogging(LogLevel.None);
  if (messagepack) builder.withHubProtocol(new MessagePackHubProtocol());
  const connection = builder.build();
  await connection.start();
  const answers = await ask(connection);
  await connection.stop();
  return answers;
}

for (const combination of combinations) {
  const answers = await visit('/testhub', combination, async (connection) => ({
    transport: await connection.invoke('GetActiveTransportName'),
    echo: await connection.invoke('Echo', 'žluť'),
    cookies: await Promise.all(['testCookie', 'testCookie2', 'expiredCookie'].map((name) => connection.invoke('GetCookie', name))),
  }));
  console.log(JSON.stringify({ name: nameOf(combination), ...answers }));
}
for (const transport of [WebSockets, LongPolling]) {
  const echo = await visit(`/redirect?baseUrl=${encodeURIComponent(base)}`, { transport }, (connection) => connection.invoke('Echo', 'redirected'));
  console.log(JSON.stringify({ name: `redirected to ${HttpTransportType[transport]}`, echo }));
}
const redirected = await fetch(`${base}/echoredirect/negotiate`, { method: 'POST', redirect: 'manual' });
console.log(JSON.stringify({ name: 'redirect of HTTP', location: redirected.headers.get('location') }));
