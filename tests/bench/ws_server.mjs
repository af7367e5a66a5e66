// The yardstick of the fan-out benchmark: npm's ws. Prints its port; sends each line of its input to every client.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { WebSocketServer } = createRequire(new URL('../e2e/package.json', import.meta.url))('ws');
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('listening', () => console.log(server.address().port));
createInterface({ input: process.stdin }).on('line', (line) => {
  for (const client of server.clients) client.send(line);
});
