// Child processes that a test starts, and that are gone when it ends, however it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InVain, until } from './wait.mjs';

/// A port of 127.0.0.1 that was free a moment ago.
export async function freePort() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

const duties = new WeakMap();

/// Does `duty` after test `t`, and before what was asked for earlier: who writes into a folder is gone before the folder.
function afterwards(t, duty) {
  if (!duties.has(t)) {
    duties.set(t, []);
    t.after(async () => {
      const failures = [];
      for (const each of duties.get(t).reverse()) {
        try {
          await each();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    });
  }
  duties.get(t).push(duty);
}

const FOLDER = 'millrace-e2e-';
const remove = (folder) => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });

/// A folder that is gone after test `t`. One whose test process was killed goes with the next test that makes one.
export function temporaryFolder(t) {
  for (const name of readdirSync(tmpdir())) {
    const owner = new RegExp(`^${FOLDER}(\\d+)-`).exec(name)?.[1];
    if (owner && !isAlive(Number(owner))) remove(join(tmpdir(), name));
  }
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`));
  afterwards(t, () => remove(folder));
  return folder;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

/// A child with what it said so far in `stdout` and `stderr`. Ended with SIGKILL after test `t` if it still runs.
export class Child {
  constructor(t, command, args, { cwd, env, stdin = 'ignore' } = {}) {
    this.command = command;
    this.stdout = '';
    this.stderr = '';
    this.process = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: [stdin, 'pipe', 'pipe'] });
    this.process.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    this.exited = new Promise((resolve, reject) => {
      this.process.once('error', reject);
      this.process.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.exited.catch(() => {});
    afterwards(t, () => this.kill());
  }

  get pid() {
    return this.process.pid;
  }

  get running() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /// Ends it at once and waits until it is gone.
  async kill(signal = 'SIGKILL') {
    if (this.running) this.process.kill(signal);
    return this.exited;
  }

  /// Waits for its end; fails, with what it said, if that takes longer than `seconds`.
  async end(seconds = 120) {
    await until(() => `${this.command} to end; it said:\n${this.stderr}`, () => !this.running, { seconds });
    return { ...(await this.exited), stdout: this.stdout, stderr: this.stderr };
  }

  /// Waits until what it writes to stdout or stderr matches.
  async says(pattern, seconds = 120) {
    return until(
      () => `${this.command} to say ${pattern}; it said:\n${this.stdout}${this.stderr}`,
      () => {
        const match = `${this.stdout}${this.stderr}`.match(pattern);
        if (!match && !this.running) throw new InVain(`it ended with ${this.process.exitCode ?? this.process.signalCode}`);
        return match;
      },
      { seconds },
    );
  }

  /// Its resident memory in MiB: `VmRSS` now, `VmHWM` at most so far.
  memoryMiB(which = 'VmRSS') {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(status.match(new RegExp(`${which}:\\s+(\\d+) kB`))[1]) / 1024;
  }
}
