// When the page draws: after changes, but at most ten times a second; each second anyway, for ages; never while nobody looks.

import { useEffect, useReducer } from "preact/hooks";
import type { Store } from "../state/store.ts";

const SHORTEST = 100;
const LONGEST = 1_000;

/** Draws the calling component in the store's rhythm. */
export function usePulse(store: Store): void {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => pulse(store, () => draw(undefined)), [store]);
}

/** Calls `beat` in the store's rhythm, inside an animation frame, until the returned function is called. */
export function pulse(store: Store, beat: () => void): () => void {
  let last = 0;
  let timer: number | undefined;
  let frame: number | undefined;
  let changed = false;

  const schedule = (delay: number): void => {
    if (document.hidden || frame !== undefined) return;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      frame = requestAnimationFrame(run);
    }, delay);
  };
  const run = (): void => {
    frame = undefined;
    last = performance.now();
    // The next beat is due before this one runs, so that one which throws does not end them all.
    schedule(LONGEST);
    changed = false;
    beat();
  };
  const onChange = (): void => {
    if (changed) return;
    changed = true;
    schedule(Math.max(0, last + SHORTEST - performance.now()));
  };
  const onVisibility = (): void => schedule(0);

  const unsubscribe = store.subscribe(onChange);
  document.addEventListener("visibilitychange", onVisibility);
  schedule(0);
  return () => {
    unsubscribe();
    document.removeEventListener("visibilitychange", onVisibility);
    window.clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
  };
}
