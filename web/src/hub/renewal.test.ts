import assert from "node:assert/strict";
import { test } from "node:test";
import { Renewal, lifetimeOf, tokenIn } from "./renewal.ts";

const token = (claims: object): string => `h.${Buffer.from(JSON.stringify({ "?": "ÿþ~", ...claims })).toString("base64url")}.s`;

/** Time that passes when it is told to. */
class Means {
  due: { delay: number; task: () => void } | undefined;
  asked = 0;
  renewed: string[] = [];
  next: () => Promise<string | undefined> = () => Promise.resolve(token({ iat: 100, exp: 160 }));

  negotiate(): Promise<string | undefined> {
    ++this.asked;
    return this.next();
  }
  async renew(fresh: string): Promise<void> {
    this.renewed.push(fresh);
  }
  after(delay: number, task: () => void): () => void {
    const mine = (this.due = { delay, task });
    return () => {
      if (this.due === mine) this.due = undefined;
    };
  }
  async pass(): Promise<number> {
    const { delay, task } = this.due ?? assert.fail("nothing is due");
    this.due = undefined;
    task();
    await new Promise((resolve) => setImmediate(resolve));
    return delay;
  }
}

test("a token says itself how long it is good for", () => {
  assert.equal(lifetimeOf(token({ iat: 1000, exp: 1300 })), 300_000);
  for (const bad of ["", "x", "a.b.c", token({}), token({ iat: 5, exp: 5 }), token({ iat: "x", exp: 2 })]) assert.ok(!(lifetimeOf(bad) > 0), bad);
});

test("the token of an answer to negotiate", () => {
  assert.equal(tokenIn('{"connectionId":"x","accessToken":"t"}'), "t");
  for (const none of ["{}", "[", "null", undefined]) assert.equal(tokenIn(none), undefined);
});

test("halfway to its end a token is renewed, again and again", async () => {
  const means = new Means();
  const renewal = new Renewal(means);
  renewal.follow(token({ iat: 0, exp: 300 }));
  assert.equal(await means.pass(), 150_000);
  assert.equal(means.renewed.length, 1);
  assert.equal(await means.pass(), 30_000);
  assert.equal(means.renewed.length, 2);
  renewal.stop();
  assert.equal(means.due, undefined);
});

test("without a token there is nothing to renew", () => {
  const means = new Means();
  new Renewal(means).follow(undefined);
  assert.equal(means.due, undefined);
});

test("what fails is tried again while there is time, then the connection may end", async () => {
  const means = new Means();
  means.next = () => Promise.reject(new Error("no network"));
  const renewal = new Renewal(means);
  renewal.follow(token({ iat: 0, exp: 8 }));
  assert.deepEqual([await means.pass(), await means.pass(), await means.pass()], [4_000, 2_000, 1_000]);
  assert.equal(means.due, undefined);
  assert.equal(means.asked, 3);
});

test("a connection that has gone meanwhile is not renewed", async () => {
  const means = new Means();
  const renewal = new Renewal(means);
  let answer: (token: string) => void = () => {};
  means.next = () => new Promise((resolve) => (answer = resolve));
  renewal.follow(token({ iat: 0, exp: 300 }));
  await means.pass();
  renewal.stop();
  answer(token({ iat: 0, exp: 300 }));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(means.renewed, []);
  assert.equal(means.due, undefined);
});
