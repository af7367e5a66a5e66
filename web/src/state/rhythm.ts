// How often a device speaks and how late its messages are, learned from the messages themselves: devices announce neither.

const REMEMBERED = 15;
const CLOCK_SAMPLES = 64;

export class Rhythm {
  private gaps: number[] = [];
  private last: number | undefined;
  private clocks: [number, number] = [Infinity, Infinity];
  private samples = 0;

  /** A message of event time `time` arrived at `now`, both in milliseconds since the epoch, each by its own clock. */
  heard(time: number, now: number): void {
    if (this.last !== undefined && time > this.last) {
      this.gaps.push(time - this.last);
      if (this.gaps.length > REMEMBERED) this.gaps.shift();
    }
    if (this.last === undefined || time > this.last) this.last = time;

    this.clocks[0] = Math.min(this.clocks[0], now - time);
    this.samples += 1;
    if (this.samples % CLOCK_SAMPLES === 0) this.clocks = [Infinity, this.clocks[0]];
  }

  /** The median time between messages; undefined before the second. */
  get interval(): number | undefined {
    if (this.gaps.length === 0) return undefined;
    const sorted = [...this.gaps].sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  }

  /** A silence longer than this is drawn as a gap and makes values old. */
  get patience(): number {
    return this.interval === undefined ? 10_000 : Math.max(2_000, this.interval * 3);
  }

  /**
   * What to take from this page's clock to get the device's: the smallest delay seen lately. So a device with a wrong clock
   * is not taken for late, but old messages that a broker delivers after an outage are.
   */
  get clockOffset(): number {
    const offset = Math.min(this.clocks[0], this.clocks[1]);
    return Number.isFinite(offset) ? offset : 0;
  }
}
