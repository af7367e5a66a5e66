// Waiting for what a test expects: always for a condition, never for a time, and never without a deadline.
import { readFileSync } from 'node:fs';

/// Thrown by a condition that cannot come true any more.
export class InVain extends Error {}

/// Resolves with the first truthy value of `condition` (which may be async; a throw counts as not yet). Rejects after `seconds`
/// with what the test waited for and the last thing that was seen. `what` may be a function, called at that moment.
export async function until(what, condition, { seconds = 120, everyMs = 10 } = {}) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      last = await condition();
      if (last) return last;
    } catch (error) {
      last = error;
      if (error instanceof InVain) break;
    }
    if (Date.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  const text = typeof what === 'function' ? what() : what;
  const seen = last instanceof Error ? last.message : JSON.stringify(last);
  throw new Error(`waited up to ${seconds} s for ${text}; last seen: ${seen}`);
}

/// The objects of a file of JSON lines; none if the file is not there. Lines that are no JSON are left out: a writer that was killed
/// leaves its last one torn.
export function readJsonLines(path) {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
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
