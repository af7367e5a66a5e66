// The program under test, as a person runs it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Child, freePort, temporaryFolder } from './process.mjs';
import { InVain, until } from './wait.mjs';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
export const MILLRACE = process.env.MILLRACE ?? join(ROOT, 'build', 'dev', 'millrace');

/// Whether the programs under test carry a sanitizer, whose shadow and quarantine are not their memory.
export const SANITIZED = /\/build\/(asan|tsan)\//.test(MILLRACE);

/// Runs one command to its end; with `addressSpaceKiB` under that limit of memory.
export async function millrace(t, args, { seconds = 120, addressSpaceKiB, ...options } = {}) {
  const child = addressSpaceKiB
    ? new Child(t, 'bash', ['-c', `ulimit -v ${addressSpaceKiB}; exec "$0" "$@"`, MILLRACE, ...args], options)
    : new Child(t, MILLRACE, args, options);
  return child.end(seconds);
}

/// A running instance on a port and a data folder of its own. `files` are written into a fresh folder first (name -> text); the
/// pipeline is `pipeline.yaml` among them.
export class Instance {
  constructor(t) {
    this.t = t;
    this.args = [];
  }

  static async prepare(t, files, { args = [], env = {} } = {}) {
    const instance = new Instance(t);
    instance.folder = temporaryFolder(t);
    instance.data = join(instance.folder, 'data');
    instance.port = await freePort();
    instance.address = `127.0.0.1:${instance.port}`;
    instance.url = `http://${instance.address}`;
    instance.args = args;
    instance.env = env;
    for (const [name, text] of Object.entries(files)) instance.write(name, text);
    return instance;
  }

  static async start(t, files, options = {}) {
    const instance = await Instance.prepare(t, files, options);
    await instance.up();
    return instance;
  }

  path(name) {
    return join(this.folder, name);
  }

  write(name, text) {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /// Starts it, without waiting for anything.
  launch(args = ['run', this.path('pipeline.yaml'), '--data', this.data, '--listen', this.address, ...this.args]) {
    this.child = new Child(this.t, this.program ?? MILLRACE, args, { cwd: this.folder, env: this.env });
    return this.child;
  }

  /// Starts it and waits until it says that it is ready.
  async up() {
    const child = this.launch();
    await until(
      () => `millrace to be ready at ${this.url}; it said:\n${child.stderr}`,
      async () => {
        if (!child.running) throw new InVain('it ended');
        return (await fetch(`${this.url}/readyz`)).status === 200;
      },
    );
  }

  /// SIGTERM, and waits until it is gone; its exit status has to be 0.
  async down() {
    this.child.process.kill('SIGTERM');
    const { code, signal, stderr } = await this.child.end();
    if (code !== 0) throw new Error(`millrace ended with ${code ?? signal}:\n${stderr}`);
  }

  /// The samples of /metrics: name{label="value",...} -> number.
  async metrics() {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const samples = new Map();
    for (const line of text.split('\n')) {
      const match = line.match(/^([^#\s][^\s]*(?:\{.*\})?) (\S+)$/);
      if (match) samples.set(match[1], Number(match[2]));
    }
    return samples;
  }

  /// The sum of all samples of a name whose labels include `labels`.
  async metric(name, labels = {}) {
    let sum = 0;
    let found = false;
    for (const [key, value] of await this.metrics()) {
      if (key !== name && !key.startsWith(`${name}{`)) continue;
      if (!Object.entries(labels).every(([label, wanted]) => key.includes(`${label}="${wanted}"`))) continue;
      sum += value;
      found = true;
    }
    return found ? sum : undefined;
  }

  /// Rows of the history, read as a user does.
  async query(sql) {
    return query(join(this.data, 'history.db'), sql);
  }
}

/// Rows of a SQLite file through the sqlite3 command.
export async function query(file, sql) {
  const { stdout } = await promisify(execFile)('sqlite3', ['-json', '-cmd', '.timeout 5000', file, sql], { maxBuffer: 64 << 20 });
  return stdout.trim() === '' ? [] : JSON.parse(stdout);
}
