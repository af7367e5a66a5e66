// The benchmarks of docs/performance.md on whole processes. Each round runs every variant once, so that what is compared ran
// side by side; the table shows medians over the rounds, and the spread.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fanout } from './fanout.mjs';
import { nodeRed } from './node_red.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '..', '..');
const BUILD = process.env.MILLRACE_BUILD ?? join(ROOT, 'build', 'release');
const MILLRACE = join(BUILD, 'millrace');
const LONGEST_MS = 15 * 60_000; // of one benchmark in one round
const TICKS = 100; // of /proc/PID/stat, a second

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const ROUNDS = Number(option('runs', 5));
const ONLY = option('only', '');
const LINES = Number(option('lines', 2_000_000));

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
const INPUT = join(folder, 'input.jsonl');
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/// name -> {values, unit, limit, note}
const results = new Map();
function note(name, value, unit, limit = '') {
  if (!results.has(name)) results.set(name, { values: [], unit, limit });
  results.get(name).values.push(value);
  console.error(`  ${name}: ${value.toPrecision(3)} ${unit}`);
}

function start(command, args, { env, stdio = ['ignore', 'ignore', 'inherit'] } = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio });
  children.add(child);
  child.ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      children.delete(child);
      resolve(code ?? signal);
    });
  });
  return child;
}

/// Runs a command to its end: {wall, cpu} in seconds, {peak} in MiB.
async function measured(command, args, options = {}) {
  const child = start(join(BUILD, 'bench', 'measure'), [command, ...args], { ...options, stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
  let report = '';
  child.stdio[3].on('data', (text) => (report += text));
  const status = await child.ended;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
  const { wall, user, system, peak } = JSON.parse(report);
  return { wall, cpu: user + system, peak: peak / 1024 };
}

async function output(command, args) {
  const child = start(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  const status = await child.ended;
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
  return text;
}

function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

function peakMiB(pid) {
  return Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmHWM:\s+(\d+)/)[1]) / 1024;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

const listening = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition, everyMs = 20, seconds = 120) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    if (await Promise.resolve(condition()).catch(() => false)) return;
    if (Date.now() > deadline) throw new Error('waited in vain');
    await pause(everyMs);
  }
}

let data = 0;
const runArgs = (pipeline, port) => [
  'run', pipeline.includes('/') ? pipeline : join(HERE, 'pipelines', `${pipeline}.yaml`),
  '--data', join(folder, `data-${++data}`), '--listen', `127.0.0.1:${port}`,
];

/// A pipeline that runs until stop(): its process and its port.
async function running(pipeline, env = {}) {
  const port = await freePort();
  const child = start(MILLRACE, runArgs(pipeline, port), { env, stdio: ['ignore', 'ignore', 'ignore'] });
  await until(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200);
  const received = async (stage) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(text.match(new RegExp(`millrace_stage_records_in_total\\{[^}]*stage="${stage}"[^}]*\\} (\\S+)`))?.[1] ?? 0);
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await child.ended;
  };
  return { child, port, received, stop };
}

async function broker() {
  const port = await freePort();
  const file = join(folder, `mosquitto-${port}.conf`);
  writeFileSync(
    file,
    `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\npersistence false\nlog_type none\n` +
      (process.getuid() === 0 ? 'user root\n' : ''),
  );
  const child = start('/usr/sbin/mosquitto', ['-c', file], { stdio: ['ignore', 'ignore', 'ignore'] });
  await until(() => listening(port));
  return { url: `mqtt://127.0.0.1:${port}`, paho: `tcp://127.0.0.1:${port}`, stop: async () => (child.kill('SIGTERM'), child.ended) };
}

function writeInput() {
  console.error(`writing ${LINES} lines`);
  const file = openSync(INPUT, 'w');
  const begin = Date.now() - LINES; // event times end now, a millisecond apart
  for (let at = 0; at < LINES; at += 10_000) {
    let text = '';
    for (let i = at; i < Math.min(LINES, at + 10_000); ++i) {
      const temperature = (20 + ((i * 7919) % 1000) / 100).toFixed(2);
      const humidity = (40 + ((i * 104_729) % 2000) / 100).toFixed(2);
      text += `{"deviceId":"AZ3166-${(i % 100) + 1}","messageId":${i},"temperature":${temperature},"humidity":${humidity},"pressure":1013.25,"ts":${begin + i}}\n`;
    }
    writeSync(file, text);
  }
  closeSync(file);
}

const perRecord = (cpu) => (cpu / LINES) * 1e6;

const BENCHMARKS = {
  fanout: fanout({ start, note, folder, build: BUILD, here: HERE, broker, freePort, runArgs, until }),

  async file() {
    const env = { INPUT, OUTPUT: join(folder, 'out.jsonl') };
    const parse = await measured('node', [join(HERE, 'json_parse.mjs'), INPUT]);
    note('a loop of JSON.parse in Node, to null', perRecord(parse.cpu), 'us of CPU a record');
    const toNull = await measured(MILLRACE, runArgs('lua_null', await freePort()), { env });
    note('file, Lua, null_sink', perRecord(toNull.cpu), 'us of CPU a record', '0.6');
    note('file, Lua, null_sink: ratio to the loop', toNull.cpu / parse.cpu, 'times');
    note('file, Lua, null_sink: peak memory', toNull.peak, 'MiB', '64');
    const toFile = await measured(MILLRACE, runArgs('lua_file', await freePort()), { env });
    note('file, Lua, file_sink', perRecord(toFile.cpu), 'us of CPU a record', '1.0');
    note('file, Lua, file_sink: peak memory', toFile.peak, 'MiB', '64');
    rmSync(env.OUTPUT, { force: true });
  },

  async window() {
    const { cpu } = await measured(MILLRACE, runArgs('window', await freePort()), { env: { INPUT } });
    note('file, average by device and second', perRecord(cpu), 'us of CPU a record', '0.33');
  },

  async alert() {
    const aims = { 'average and exact p95': ['1', '10'], 'average and approximate p95': ['5', ''], 'average, minimum, maximum': ['5', '2.5'] };
    for (const line of (await output(join(BUILD, 'bench', 'alert_bench'), ['--json'])).trim().split('\n')) {
      const { title, rate, kib } = JSON.parse(line);
      const [least, most] = aims[title];
      note(`alert, ${title}, 60 s every 1 s, 10,000 keys`, rate / 1e6, 'M records a CPU second', `at least ${least}`);
      note(`alert, ${title}: heap`, kib, 'KiB a key', most);
    }
    const { p99, bare_p99 } = JSON.parse(await output(join(BUILD, 'bench', 'alert_latency'), []));
    note('alert, record to committed transition at 100,000/s: 99th percentile', p99, 'ms', '10');
    note('a bare write of 4 KiB and its sync, just before and after: 99th percentile', bare_p99, 'ms');
  },

  async mqtt() {
    const load = join(BUILD, 'bench', 'mqtt_load');
    const mosquitto = await broker();
    for (const [qos, count, limit] of [[0, 400_000, '7.5'], [1, 200_000, '11']]) {
      const args = ['--broker', mosquitto.paho, '--topic', 'devices/bench', '--count', String(count), '--qos', String(qos)];
      const publish = () => output(load, ['publish', ...args]);

      const bare = start(join(BUILD, 'bench', 'measure'), [load, 'callback', ...args], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
      let report = '';
      bare.stdio[3].on('data', (text) => (report += text));
      await once(bare.stdout, 'data');
      let begin = performance.now();
      await publish();
      if ((await bare.ended) !== 0) throw new Error('the bare callback failed');
      const bareRate = count / ((performance.now() - begin) / 1000);
      const { user, system } = JSON.parse(report);
      note(`MQTT QoS ${qos}, bare Paho callback`, ((user + system) / count) * 1e6, 'us of CPU a message');

      // A session of its own: the broker would keep what the bare callback was sent for one that was there before.
      const instance = await running('mqtt', { BROKER: mosquitto.url, CLIENT: `bench-${qos}` });
      const before = cpuSeconds(instance.child.pid);
      begin = performance.now();
      await publish();
      await until(async () => (await instance.received('rule')) >= count, 50);
      const rate = count / ((performance.now() - begin) / 1000);
      note(`MQTT QoS ${qos}, Lua, null_sink`, ((cpuSeconds(instance.child.pid) - before) / count) * 1e6, 'us of CPU a message', limit);
      note(`MQTT QoS ${qos}: rate against the bare callback's`, (rate / bareRate) * 100, '%', 'at least 80');
      await instance.stop();
    }
    await mosquitto.stop();
  },

  async history() {
    // On the disk of the data folders, not in a temporary folder that may be in memory.
    const folder = join(BUILD, 'bench', `history-${process.pid}`);
    try {
      const text = await output(join(BUILD, 'bench', 'store_bench'), ['--folder', folder, '--messages', '1000']);
      const figures = text.trim().split('\n').map((line) => JSON.parse(line));
      for (const { figure, per_second, cpu_us_each } of figures.filter((f) => f.per_second)) {
        note(`history: ${figure.replaceAll('_', ' ')}`, per_second, 'a second', figure === 'transitions' ? 'at least 50,000' : '');
        note(`history: ${figure.replaceAll('_', ' ')}, CPU`, cpu_us_each, 'us each');
      }
      for (const { of, ms } of figures.filter((f) => f.figure === 'page')) note(`5 million events: page (${of})`, ms, 'ms', of === 'newest' ? '50' : '');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  async latency() {
    const mosquitto = await broker();
    const timed = async (rate, ...to) =>
      JSON.parse(
        await output(join(BUILD, 'bench', 'latency'), [
          '--broker', mosquitto.paho, '--topic', 'devices/latency', '--rate', String(rate), '--count', String(rate * 10), ...to,
        ]),
      );
    for (const rate of [100, 1000]) {
      const args = ['forward', '--broker', mosquitto.paho, '--topic', 'devices/latency'];
      const forward = start(join(BUILD, 'bench', 'mqtt_load'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
      const [port] = await once(forward.stdout, 'data');
      const bare = await timed(rate, '--bare', '--port', String(port).trim());
      note(`bare Paho callback to a socket at ${rate}/s: median`, bare.median, 'ms');
      await forward.ended;

      const instance = await running('latency', { BROKER: mosquitto.url });
      const { median, p99 } = await timed(rate, '--port', String(instance.port));
      note(`MQTT to WebSocket at ${rate}/s: median`, median, 'ms', '0.2');
      note(`MQTT to WebSocket at ${rate}/s: ratio to the bare callback`, median / bare.median, 'times');
      note(`MQTT to WebSocket at ${rate}/s: 99th percentile`, p99, 'ms', '1');
      await instance.stop();
      if (!process.env.NODE_RED) continue;

      const peer = nodeRed(process.env.NODE_RED, {
        start, folder: join(folder, 'node-red'), port: await freePort(), broker: mosquitto.url, topic: 'devices/latency',
      });
      await until(() => listening(peer.port));
      const theirs = await timed(rate, '--port', String(peer.port), '--path', '/latency');
      note(`Node-RED at ${rate}/s: median`, theirs.median, 'ms');
      note(`Node-RED at ${rate}/s: 99th percentile`, theirs.p99, 'ms');
      note(`MQTT to WebSocket at ${rate}/s: ratio to Node-RED`, median / theirs.median, 'times');
      note(`MQTT to WebSocket at ${rate}/s: 99th percentile, ratio to Node-RED`, p99 / theirs.p99, 'times');
      peer.child.kill('SIGTERM');
      await peer.child.ended;
    }
    await mosquitto.stop();
  },

  async emulator() {
    const begin = performance.now();
    const first = start(MILLRACE, runArgs('first_record', await freePort()), { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(first.stdout, 'data');
    note('start to first record', performance.now() - begin, 'ms', '300');
    first.kill('SIGTERM');
    first.stdout.resume();
    await first.ended;

    const instance = await running(join(ROOT, 'pipelines', 'devkit-emulator.yaml'));
    const before = cpuSeconds(instance.child.pid);
    const seconds = 20;
    await pause(seconds * 1000);
    note('emulator pipeline, 3 devices at 1 Hz: CPU', ((cpuSeconds(instance.child.pid) - before) / seconds) * 100, '% of a core', '1');
    note('emulator pipeline, 3 devices at 1 Hz: peak memory', peakMiB(instance.child.pid), 'MiB', '40');
    await instance.stop();
  },
};

const chosen = Object.entries(BENCHMARKS).filter(([name]) => name.includes(ONLY));
if (chosen.some(([name]) => name === 'file' || name === 'window')) writeInput();
for (let round = 1; round <= ROUNDS; ++round) {
  console.error(`round ${round} of ${ROUNDS}`);
  for (const [name, benchmark] of chosen) {
    console.error(`${name} ...`);
    const begin = performance.now();
    // A benchmark that hangs must not keep the others' figures from being printed, nor the command from ending.
    const overdue = pause(LONGEST_MS).then(() => Promise.reject(new Error(`no end after ${LONGEST_MS / 60_000} minutes`)));
    try {
      await Promise.race([benchmark(), overdue]);
      console.error(`${name}: took ${((performance.now() - begin) / 1000).toFixed(0)} s`);
    } catch (error) {
      console.error(`${name} failed: ${error.stack}`);
      process.exitCode = 1;
      for (const child of children) child.kill('SIGKILL');
    }
  }
}

const shown = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
console.log(`| what | median | least to most of ${ROUNDS} | unit | at most |\n|---|---|---|---|---|`);
for (const [name, { values, unit, limit }] of results) {
  const sorted = [...values].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  console.log(`| ${name} | ${shown(median)} | ${shown(sorted[0])} to ${shown(sorted.at(-1))} | ${unit} | ${limit} |`);
}
process.exit();
