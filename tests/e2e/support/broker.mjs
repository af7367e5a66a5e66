// A real Mosquitto on a free port, and publishers that are processes of their own.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, freePort, temporaryFolder } from './process.mjs';
import { until } from './wait.mjs';

const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto'].find(existsSync) ?? 'mosquitto';

/// `port` is kept over stop() and start(), so that clients find the broker again.
export class Broker {
  /// `more` are further lines of its configuration; with `scheme: 'mqtts'` they say with which certificate.
  static async start(t, { persistence = false, port, scheme = 'mqtt', host = '127.0.0.1', more = [] } = {}) {
    const broker = new Broker();
    broker.t = t;
    broker.folder = temporaryFolder(t);
    broker.port = port ?? (await freePort());
    broker.url = `${scheme}://${host}:${broker.port}`;
    writeFileSync(
      join(broker.folder, 'mosquitto.conf'),
      [
        `listener ${broker.port} 127.0.0.1`,
        ...more,
        'allow_anonymous true',
        'max_queued_messages 0',
        `persistence ${persistence}`,
        ...(persistence ? [`persistence_location ${broker.folder}/`, 'autosave_interval 1'] : []),
        ...(process.getuid() === 0 ? ['user root'] : []),
        'log_type all',
        '',
      ].join('\n'),
    );
    await broker.up();
    return broker;
  }

  async up() {
    this.child = new Child(this.t, MOSQUITTO, ['-c', join(this.folder, 'mosquitto.conf')]);
    await this.child.says(/mosquitto version \S+ running/);
  }

  /// SIGTERM: with persistence it saves its sessions first. Mosquitto forgets one that comes between its "running" and its loop, so
  /// it is asked until it has gone.
  async down() {
    await until('the broker to end', () => {
      if (this.child.running) this.child.process.kill('SIGTERM');
      return !this.child.running;
    });
    await this.child.exited;
  }

  /// Waits until `count` subscriptions have been made on this run of the broker.
  async subscribed(count = 1) {
    await until(
      () => `${count} subscription(s); the broker said:\n${this.child.stderr.slice(-2000)}`,
      () => (this.child.stderr.match(/Sending SUBACK to /g) ?? []).length >= count,
    );
  }
}

/// mosquitto_pub with a message a line. It reports each acknowledgement; messages are numbered from 1 in the order of write().
export class Publisher {
  constructor(t, broker, topic, { qos = 1 } = {}) {
    const args = ['-h', '127.0.0.1', '-p', String(broker.port), '-t', topic, '-q', String(qos), '-l', '-d'];
    // Line by line: it would hold its reports back until it has 4 KiB of them.
    this.child = new Child(t, 'stdbuf', ['-oL', 'mosquitto_pub', ...args], { stdin: 'pipe' });
    // It may be ended while lines are on their way to it; whoever ended it knows.
    this.child.process.stdin.on('error', () => {});
    this.acknowledgedIds = new Set();
    let rest = '';
    this.child.process.stdout.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const ack = line.match(/received PUBACK \(Mid: (\d+)/);
        if (ack) this.acknowledgedIds.add(Number(ack[1]));
      }
    });
  }

  write(messages) {
    this.child.process.stdin.write(messages.map((message) => JSON.stringify(message) + '\n').join(''));
  }

  /// Waits until the broker has acknowledged `count` messages.
  async acknowledgedAtLeast(count, seconds = 120) {
    await until(
      () => `${count} acknowledged messages, ${this.acknowledgedIds.size} are; ${this.child.stderr}`,
      () => this.acknowledgedIds.size >= count,
      { seconds },
    );
  }

  /// No more lines: it ends once all are acknowledged.
  async finish() {
    this.child.process.stdin.end();
    const { code, stderr } = await this.child.end();
    if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}: ${stderr}`);
  }
}

/// Publishes raw payloads, each in a process of its own.
export async function publish(t, broker, topic, payload, { qos = 1 } = {}) {
  const child = new Child(t, 'mosquitto_pub', ['-h', '127.0.0.1', '-p', String(broker.port), '-t', topic, '-q', String(qos), '-s'], {
    stdin: 'pipe',
  });
  child.process.stdin.end(payload);
  const { code, stderr } = await child.end();
  if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}: ${stderr}`);
}
