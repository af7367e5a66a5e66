// What one device said over time: rows of a time and one number a column, oldest first. Bounded in rows and in age, so a
// page left open for a week stays as small as after a quarter of an hour. Columns are typed arrays that slide: the live rows
// lie in one piece between `first` and `end`, and readers get views without a copy.

export interface HistoryLimit {
  rows: number;
  age: number; // milliseconds between the newest row and the oldest kept
}

export interface Rows {
  times: Float64Array;
  /** By column name, as long as `times`; NaN where a message did not carry the field. */
  columns: Map<string, Float64Array>;
}

const SMALLEST = 64;

export class History {
  private times = new Float64Array(SMALLEST);
  private columns = new Map<string, Float64Array>();
  private first = 0;
  private end = 0;

  constructor(private readonly limit: HistoryLimit) {}

  get length(): number {
    return this.end - this.first;
  }

  get newest(): number | undefined {
    return this.length > 0 ? this.times[this.end - 1] : undefined;
  }

  get oldest(): number | undefined {
    return this.length > 0 ? this.times[this.first] : undefined;
  }

  /** Adds a row. A late one goes where its time belongs, one of a known time completes or replaces that row; one older than the limit is not kept. */
  add(time: number, values: ReadonlyMap<string, number>): void {
    const newest = this.newest;
    if (newest !== undefined && time <= newest - this.limit.age) return;

    const row = newest === undefined || time > newest ? this.append(time) : this.insert(time);
    if (row === undefined) return;
    for (const [name, value] of values) this.column(name)[row] = value;
    this.forget();
  }

  /** The rows of [from, to], and with them the last before and the first after, so that lines run out of the picture. */
  between(from: number, to: number): Rows {
    let low = this.search(from);
    let high = this.search(to);
    if (low > this.first) low -= 1;
    if (high < this.end) high += 1;
    const columns = new Map<string, Float64Array>();
    for (const [name, values] of this.columns) columns.set(name, values.subarray(low, high));
    return { times: this.times.subarray(low, high), columns };
  }

  private column(name: string): Float64Array {
    let values = this.columns.get(name);
    if (!values) {
      values = new Float64Array(this.times.length).fill(NaN);
      this.columns.set(name, values);
    }
    return values;
  }

  private append(time: number): number {
    if (this.end === this.times.length) this.makeRoom();
    const row = this.end++;
    this.times[row] = time;
    for (const values of this.columns.values()) values[row] = NaN;
    return row;
  }

  private insert(time: number): number | undefined {
    let row = this.search(time);
    if (this.times[row] === time) return row;
    if (this.length >= this.limit.rows && row === this.first) return undefined;
    if (this.end === this.times.length) {
      const position = row - this.first;
      this.makeRoom();
      row = this.first + position;
    }
    for (const values of [this.times, ...this.columns.values()]) values.copyWithin(row + 1, row, this.end);
    this.end += 1;
    this.times[row] = time;
    for (const values of this.columns.values()) values[row] = NaN;
    return row;
  }

  private forget(): void {
    const oldest = (this.newest as number) - this.limit.age;
    while (this.length > this.limit.rows || (this.times[this.first] as number) < oldest) this.first += 1;
  }

  /** Slides the live rows to the front, into larger arrays if they fill more than half. */
  private makeRoom(): void {
    const size = this.length > this.times.length / 2 ? this.times.length * 2 : this.times.length;
    const slide = (values: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
      const target = size === values.length ? values : new Float64Array(size).fill(NaN);
      if (target === values) values.copyWithin(0, this.first, this.end);
      else target.set(values.subarray(this.first, this.end));
      return target;
    };
    this.times = slide(this.times);
    for (const [name, values] of this.columns) this.columns.set(name, slide(values as Float64Array<ArrayBuffer>));
    this.end -= this.first;
    this.first = 0;
  }

  /** The first row at or after `time`. */
  private search(time: number): number {
    let low = this.first;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.times[middle] as number) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
