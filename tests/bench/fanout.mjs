// One message to many WebSocket clients: CPU of the server for each delivery, beside other servers in the same round. The server
// runs on one core, one light client on the other. A named pipe carries a line for each broadcast from the client to who
// publishes.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PAD = 'p'.repeat(190);
const LINE = `{"value":1,"~":"${PAD}"}`; // about 200 bytes, the marker once
const RECORD = `{"value":1,"pad":"${'p'.repeat(116)}"}`; // about 200 bytes with what the hub puts around it
const hex = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part))).toString('hex');

/// What the other servers want to hear before they send anything.
const MQTT_HELLO = hex([0x10, 12, 0, 4], 'MQTT', [4, 2, 0, 0, 0, 0], [0x82, 6, 0, 1, 0, 1], 't', [0]);
const NATS_HELLO = hex('CONNECT {"verbose":false,"pedantic":false}\r\nSUB t 1\r\n');

export function fanout({ start, note, folder, build, here, broker, freePort, runArgs, until }) {
  let made = 0;
  const onCore = (core, command, args, options) => start('taskset', ['-c', String(core), command, ...args], options);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  /// A named pipe that stays open until it is closed here.
  function pipe() {
    const path = join(folder, `fanout-${++made}`);
    execFileSync('mkfifo', [path]);
    return openSync(path, 'r+');
  }

  /// What `promise` gives, if that takes no longer than a minute: a benchmark that hangs says what it hung on.
  async function bounded(what, promise, seconds = 60) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} did not end within ${seconds} s`)), seconds * 1000);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /// The first words of a child, which must not end before.
  const firstWords = async (what, child, from) => {
    const ended = child.ended.then((status) => Promise.reject(new Error(`${what} ended with ${status}`)));
    const [text] = await bounded(what, Promise.race([once(from, 'data'), ended]));
    return text;
  };

  const kill = async (...children) => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children.map((child) => child.ended));
  };

  async function millrace(options) {
    const commands = pipe();
    const server = onCore(0, join(build, 'tests', 'test_hub'), [JSON.stringify({ client_queue: 1 << 20, ...options })], {
      stdio: [commands, 'pipe', 'inherit'],
    });
    const text = await firstWords('the test hub', server, server.stdout);
    server.stdout.resume();
    const { port } = JSON.parse(text);
    const command = '{"publish":[{"device":"bench","value":1,"pad":125}]}';
    return { server, commands, client: ['--port', port, '--path', '/testhub/ws', '--command', command], stop: () => kill(server) };
  }

  /// The whole program: what the hub's clients get comes in over MQTT, as messages of the same size.
  async function pipeline() {
    const commands = pipe();
    const mosquitto = await broker();
    const port = await freePort();
    const server = onCore(0, join(build, 'millrace'), runArgs('fanout', port), {
      env: { BROKER: mosquitto.url },
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    await until(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200);
    const publisher = onCore(1, 'mosquitto_pub', ['-h', '127.0.0.1', '-p', new URL(mosquitto.url).port, '-t', 'devices/bench', '-l'], {
      stdio: [commands, 'ignore', 'inherit'],
    });
    const client = ['--port', port, '--path', '/hubs/telemetry/ws', '--command', RECORD];
    return { server, commands, client, stop: async () => (await kill(publisher, server), mosquitto.stop()) };
  }

  /// A server that prints its port and sends each line of its input to every client.
  function linesTo(command, ...args) {
    return async () => {
      const commands = pipe();
      const server = onCore(0, command, args, { stdio: [commands, 'pipe', 'inherit'] });
      const port = await firstWords([command, ...args].join(' '), server, server.stdout);
      return { server, commands, client: ['--port', Number(port), '--path', '/', '--command', LINE, '--marker', '~'], stop: () => kill(server) };
    };
  }

  async function nats() {
    const commands = pipe();
    const [port, plain] = [await freePort(), await freePort()];
    const file = join(folder, `nats-${port}.conf`);
    writeFileSync(file, `listen: 127.0.0.1:${plain}\nwebsocket { listen: "127.0.0.1:${port}", no_tls: true }\n`);
    const server = onCore(0, 'nats-server', ['-c', file], { env: { GOMAXPROCS: '1' }, stdio: ['ignore', 'ignore', 'ignore'] });
    await pause(1000);
    const publisher = onCore(1, 'node', [join(here, 'nats_publish.mjs'), String(plain)], { stdio: [commands, 'ignore', 'inherit'] });
    const client = ['--port', port, '--path', '/', '--command', LINE, '--marker', '~', '--hello', NATS_HELLO];
    return { server, commands, client, stop: () => kill(publisher, server) };
  }

  /// Its websockets listener binds more than the loopback address that it is told: everything of it runs in a network of its own.
  async function mosquitto() {
    const commands = pipe();
    const [port, plain] = [await freePort(), await freePort()];
    const file = join(folder, `fanout-mosquitto-${port}.conf`);
    writeFileSync(
      file,
      `listener ${plain} 127.0.0.1\nlistener ${port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\nlog_type none\n` +
        'max_queued_messages 0\nmax_inflight_messages 0\n' + (process.getuid() === 0 ? 'user root\n' : ''),
    );
    const server = start('unshare', ['-n', 'sh', '-c', 'ip link set lo up && exec taskset -c 0 mosquitto -c "$0"', file], {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    await pause(1000);
    const inside = ['nsenter', '-t', String(server.pid), '-n'];
    const publisher = start(inside[0], [...inside.slice(1), 'mosquitto_pub', '-h', '127.0.0.1', '-p', String(plain), '-t', 't', '-l'], {
      stdio: [commands, 'ignore', 'inherit'],
    });
    const client = ['--port', port, '--path', '/mqtt', '--protocol', 'mqtt', '--command', LINE, '--marker', '~', '--hello', MQTT_HELLO];
    return { server, commands, client, inside, stop: () => kill(publisher, server) };
  }

  /// One run, of which it tells: what the client says.
  async function run(what, made, ...args) {
    console.error(`  running ${what}`);
    return bounded(what, made().then((peer) => measure(peer, ...args)));
  }

  async function measure({ server, commands, client, inside = [], stop }, ...args) {
    const whole = [...inside, join(build, 'bench', 'fanout_client'), '--pid', server.pid, ...client, ...args].map(String);
    const child = onCore(1, whole[0], whole.slice(1), { stdio: ['ignore', commands, 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => (said += text));
    const status = await child.ended;
    await stop();
    closeSync(commands);
    if (status !== 0) throw new Error(`the clients ended with ${status}: ${said}`);
    return JSON.parse(said);
  }

  /// Clients that only stay connected.
  async function idle(name, made, clients) {
    console.error(`  running ${name}, ${clients} idle connections`);
    const { server, commands, client, stop } = await made();
    const child = onCore(1, join(build, 'bench', 'fanout_client'), ['--pid', server.pid, '--idle', '--clients', clients, ...client].map(String), {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const text = await firstWords('the clients', child, child.stderr);
    note(`${name}: ${clients} idle connections, memory of each`, JSON.parse(text).kib_per_connection, 'KiB', '10');
    child.stdin.end();
    await child.ended;
    await stop();
    closeSync(commands);
  }

  const us = 'us of CPU a delivery';
  const sends = (...args) => linesTo(join(build, 'bench', 'bare_server'), ...args);
  const peers = { ws: linesTo('node', join(here, 'ws_server.mjs')), 'nats-server': nats, mosquitto, 'the sends alone': sends() };
  // uWebSockets is in no Debian package and not in npm's registry; Bun, which is, has it inside.
  if (process.env.BUN) peers['uWebSockets in Bun'] = linesTo(process.env.BUN, join(here, 'bun_server.mjs'));

  async function beside(label, args, limits) {
    const ours = await run(`Millrace, ${label}`, millrace, ...args);
    note(`fan-out, ${label}: Millrace`, ours.cpu_us_per_delivery, us, limits.own);
    const whole = await run(`Millrace from MQTT, ${label}`, pipeline, ...args);
    note(`fan-out, ${label}: Millrace, from MQTT`, whole.cpu_us_per_delivery, us);
    note(`fan-out, ${label}: from MQTT to the hub alone`, whole.cpu_us_per_delivery / ours.cpu_us_per_delivery, 'times', '1.2');
    for (const [name, peer] of Object.entries(peers)) {
      const theirs = await run(`${name}, ${label}`, peer, ...args);
      note(`fan-out, ${label}: ${name}`, theirs.cpu_us_per_delivery, us);
      note(`fan-out, ${label}: Millrace to ${name}`, ours.cpu_us_per_delivery / theirs.cpu_us_per_delivery, 'times', limits[name] ?? '');
    }
    return ours;
  }

  return async () => {
    // So many seconds at most: who is slow is measured by fewer broadcasts.
    const at = (clients, broadcasts, inFlight) =>
      ['--clients', clients, '--broadcasts', broadcasts, '--in-flight', inFlight, '--seconds', 5];
    await beside('1,000 clients, 1 in flight', at(1000, 300, 1), { own: '3.8', ws: '0.75', 'nats-server': '0.65', mosquitto: '0.65' });
    const full = await beside('1,000 clients, 16 in flight', at(1000, 1000, 16), { own: '0.40' });
    await beside('5,000 clients, 16 in flight', at(5000, 200, 16), { own: '0.50' });
    const paced = async (label, made, limit, rate, broadcasts) => {
      const result = await run(label, made, '--clients', 1000, '--broadcasts', broadcasts, '--rate', rate);
      note(`fan-out, 1,000 clients, ${label}`, result.cpu_us_per_delivery, us, limit);
      return result;
    };
    const gathered = async (flush, limit, rate) => {
      const label = `${rate.toLocaleString('en')}/s, flush ${flush} ms`;
      const ours = await paced(`${label}: Millrace`, () => millrace({ flush }), limit, rate, rate * 5);
      const floor = await paced(`${label}: the sends alone`, sends('--flush', flush), '', rate, rate * 5);
      note(`fan-out, 1,000 clients, ${label}: Millrace to the sends alone`, ours.cpu_us_per_delivery / floor.cpu_us_per_delivery, 'times');
    };
    await gathered(10, '0.4', 1000);
    await gathered(50, '0.9', 100);
    const half = full.per_second / 1000 / 2;
    const { median_ms: median, p99_ms: p99 } = await paced('half of the saturating rate', millrace, '', half, Math.round(half * 5));
    note('fan-out, 1,000 clients, half of the saturating rate: median latency', median, 'ms');
    note('fan-out, 1,000 clients, half of the saturating rate: 99th percentile', p99, 'ms');
    await idle('Millrace', millrace, 5000);
    await idle('Millrace', () => millrace({ max_connections: 20_000 }), 19_900);
  };
}
