// When to try again. For ever, for a phone that comes back from a tunnel expects its page to have noticed; with jitter, so
// that a thousand pages do not knock at a restarted server in the same instant.

const FIRST = 500;
const LONGEST = 8_000;

/** Milliseconds to wait before attempt `attempt`, counted from 0. `random` is uniform in [0, 1). */
export function retryDelay(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * (0.5 + random / 2));
}
