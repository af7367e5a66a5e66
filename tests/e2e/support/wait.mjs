// Waiting for what a test expects: always for a condition, never for a time, and never without a deadline.
import { readFileSync } from 'node:fs';

/// Resolves with the first truthy value of `condition` (which may be async; a throw counts as not yet). Rejects after `seconds`
/// with what the test waited for and the last thing that was seen. `what` may be a function, called at that moment.
export async function until(what, condition, { seconds = 30, everyMs = 10 } = {}) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      last = await condition();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      const text = typeof what === 'function' ? what() : what;
      const seen = last instanceof Error ? last.message : JSON.stringify(last);
      throw new Error(`waited ${seconds} s for ${text}; last seen: ${seen}`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/// A promise and the functions that end it.
export function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

/// The objects of a file of JSON lines; none if the file is not there. A last line without its end, as a killed writer leaves
/// it, and lines that are not JSON are left out; `torn` tells how many.
export function readJsonLines(path) {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return Object.assign([], { torn: 0 });
    throw error;
  }
  const objects = [];
  let torn = 0;
  const lines = text.split('\n');
  if (lines.pop() !== '') ++torn;
  for (const line of lines) {
    try {
      objects.push(JSON.parse(line));
    } catch {
      ++torn;
    }
  }
  return Object.assign(objects, { torn });
}

/// Numbers in [0, 1) that are the same for the same seed (mulberry32).
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
