// nats_publish.mjs PORT: publishes each line of its input to the subject `t` of a nats-server.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const server = connect(Number(process.argv[2]), '127.0.0.1');
server.setNoDelay(true);
server.on('data', (data) => data.includes('PING\r\n') && server.write('PONG\r\n'));
server.write('CONNECT {"verbose":false,"pedantic":false}\r\n');
createInterface({ input: process.stdin }).on('line', (line) => server.write(`PUB t ${Buffer.byteLength(line)}\r\n${line}\r\n`));
