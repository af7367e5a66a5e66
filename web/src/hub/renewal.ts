// How the connection outlasts its token, where the listener asks for one: halfway to its end the page asks for another, as it
// did when it connected, and shows it to the hub. Where that fails until the end the connection ends too, and comes again.

/** How long a token is good for, in milliseconds, by its own account and so by no clock of ours; 0 or NaN if it does not say. */
export function lifetimeOf(token: string): number {
  try {
    const { iat, exp } = JSON.parse(atob((token.split(".")[1] as string).replaceAll("-", "+").replaceAll("_", "/")));
    return (exp - iat) * 1000;
  } catch {
    return 0;
  }
}

/** The token in an answer to negotiate, if it has one. */
export function tokenIn(answer: unknown): string | undefined {
  try {
    return JSON.parse(answer as string).accessToken;
  } catch {
    return undefined;
  }
}

export interface Renewing {
  /** A fresh token, or nothing if the listener hands out none. */
  negotiate(): Promise<string | undefined>;
  renew(token: string): Promise<unknown>;
  /** Calls `task` after so many milliseconds; what it returns calls that off. */
  after(delay: number, task: () => void): () => void;
}

const SHORTEST = 1_000; // milliseconds, of what is worth another attempt

export class Renewal {
  /** The connection has gone. */
  stop = (): void => {};

  constructor(private readonly _means: Renewing) {}

  /** The connection has come with this token. */
  follow(token: string | undefined): void {
    this.stop();
    if (token) this._wait(lifetimeOf(token));
  }

  private _wait(rest: number): void {
    if (!(rest > SHORTEST)) return;
    let stopped = false;
    const cancel = this._means.after(rest / 2, async () => {
      try {
        const token = await this._means.negotiate();
        if (stopped || !token) return;
        await this._means.renew(token);
        if (!stopped) this.follow(token);
      } catch {
        if (!stopped) this._wait(rest / 2);
      }
    });
    this.stop = () => {
      stopped = true;
      cancel();
    };
  }
}
