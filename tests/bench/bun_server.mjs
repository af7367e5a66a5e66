// The yardstick of the fan-out benchmark that runs on uWebSockets: Bun's server, which is made of it. Prints its port; publishes
// each line of its input to every client.
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request, self) => (self.upgrade(request) ? undefined : new Response('', { status: 426 })),
  websocket: { perMessageDeflate: false, open: (client) => client.subscribe('t'), message() {} },
});
console.log(server.port);
let rest = '';
const decoder = new TextDecoder();
for await (const bytes of Bun.stdin.stream()) {
  const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
  rest = lines.pop();
  for (const line of lines) server.publish('t', line);
}
