// SIGKILL at every moment of every commit of a run: what is kept in the end is what an undisturbed run keeps, and what somebody was
// told is done stays done.
//
// A broker sends again what it has not seen acknowledged, and Millrace may have it in its inbox already: MQTT's QoS 1 is at least
// once. So the windows here are of aggregates to which a reading that comes twice is nothing new, and how many readings they hold
// is not compared.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance, ROOT, query } from '../support/millrace.mjs';
import { HOT_RULE } from '../support/stages.mjs';
import { until } from '../support/wait.mjs';
import { WebhookReceiver } from '../support/webhook.mjs';

const PROGRAM = process.env.MILLRACE_KILLED ?? join(ROOT, 'build', 'dev', 'tests', 'millrace_killed');
const START = Math.floor(Date.now() / 1000) * 1000 - 600_000;
/// Runs at a time: most of each is waiting.
const TOGETHER = 6;

const pipeline = (broker, webhook, name) => `
name: killed
stages:
  - id: devkit
    plugin: mqtt_source
    broker: ${broker.url}
    topics: [${name}]
    device: {field: device}
    time: {field: ts}
    qos: 1
    client_id: ${name}
    clean_session: false
    catch_up: 0s

  - id: climate
    plugin: alert
    time: {field: ts, late: 1h}
    rules:${HOT_RULE}
      warm:
        watch: {max: temperature, within: 4s, every: 2s, also: [min]}
        levels:
          warning: {above: 24, clear: {below: 23}, for: 2s}
          critical: {above: 28}
      pressed:
        watch: {value: pressure}
        above: 5
        latch: true
        severity: warning

  - id: phone
    plugin: push
    from: climate
    to: ["${webhook.url}/hook"]
`;

/// One run from an empty data folder to a stop, killed at its `killAt`th moment, if it has so many.
class Run {
  constructor(t, broker, webhook, name) {
    Object.assign(this, { t, broker, webhook, name, killed: false, told: [] });
  }

  async prepare(killAt) {
    this.instance = await Instance.prepare(this.t, { 'pipeline.yaml': pipeline(this.broker, this.webhook, this.name) });
    this.instance.program = PROGRAM;
    this.instance.env = { KILL_AT: String(killAt) };
    await this.again(() => this.instance.up());
    this.publisher = new Publisher(this.t, this.broker, this.name);
  }

  /// Starts it once more if it was killed.
  async revive() {
    if (this.instance.child.running) return;
    const { signal } = await this.instance.child.exited;
    assert.equal(signal, 'SIGKILL', this.instance.child.stderr);
    assert.ok(!this.killed, 'it was to be killed once');
    this.killed = true;
    this.instance.env = {};
    await this.instance.up();
  }

  /// Does `work`, and does it again if the kill came between.
  async again(work) {
    try {
      return await work();
    } catch (error) {
      if (this.instance.child.running) throw error;
      await this.revive();
      return work();
    }
  }

  async holds(sql) {
    const rows = await query(join(this.instance.data, 'history.db'), sql).catch(() => []);
    return rows.length > 0 && Object.values(rows[0])[0] > 0;
  }

  async waitFor(sql) {
    await until(
      () => `${sql}; millrace said:\n${this.instance.child.stderr}`,
      async () => {
        await this.revive();
        return this.holds(sql);
      },
      { seconds: 120, everyMs: 100 },
    );
  }

  publish(second, readings) {
    const ts = START + second * 1000;
    this.publisher.write(Object.entries(readings).map(([device, fields]) => ({ device, ...fields, ts })));
  }

  /// What a person does: done again if the kill took the answer, unless the history has it already.
  async act(method, path, body, done) {
    await this.again(async () => {
      if (await this.holds(done)) return;
      const response = await fetch(`${this.instance.url}${path}`, {
        method,
        headers: { 'Content-Type': 'application/json' },
        body: body && JSON.stringify(body),
      }).catch(async (error) => {
        await this.instance.child.exited;
        throw error;
      });
      assert.ok(response.status < 300, `${path}: ${response.status} ${await response.text()}`);
      this.told.push(done);
    });
  }

  async script() {
    const event = (key, n, reason) =>
      `select count(*) from alert_event where key = '${key}' and incident_id like '%#${n}' and reason like '${reason}'`;
    this.publish(1, { a: { temperature: 31 }, b: { temperature: 26 }, c: { pressure: 9 } });
    this.publish(3, { a: { temperature: 32 }, b: { temperature: 26 } });
    await this.waitFor(event('c', 1, 'condition'));
    this.publish(5, { a: { temperature: 32 }, b: { temperature: 30 }, c: { pressure: 1 } });
    await this.waitFor(`${event('c', 1, 'condition_clear')} and to_state = 'LATCHED'`);
    await this.act('POST', '/api/alerts/killed/climate/pressed/c%231/ack', { by: 'ada', comment: 'valve' }, event('c', 1, 'ack:ada'));
    await this.act('POST', '/api/silences', { id: 'night', key: 'a', for: '1h', by: 'ada' }, `select count(*) from silence`);
    this.publish(7, { a: { temperature: 20 }, b: { temperature: 29 } });
    await this.waitFor(event('a', 1, 'resolved'));
    this.publish(9, { a: { temperature: 33 }, b: { temperature: 20 } });
    await this.waitFor(`${event('a', 2, 'condition')} and suppressed_by = 'silence:night'`);
    await this.act('DELETE', '/api/silences/night', undefined, `select count(*) from silence where ended_ms is not null`);
    await this.act('POST', '/api/alerts/killed/climate/hot/a%231/comments', { by: 'bob', comment: 'sun' }, event('a', 1, 'comment'));
    this.publish(11, { a: { temperature: 20 }, b: { temperature: 20 } });
    this.publish(15, { a: { temperature: 20 }, b: { temperature: 20 } });
    await this.waitFor(event('b', 1, 'resolved'));
    await this.waitFor(event('a', 2, 'resolved'));
    await this.waitFor(`select not exists (select 1 from alert_state where state != 'OK')`);
    await this.waitFor(`select not exists (select 1 from notification where settled_ms is null)
      and not exists (select 1 from push_delivery where status != 'delivered')`);
  }

  /// SIGTERM, which may meet the kill on its way.
  async stop() {
    this.instance.child.process.kill('SIGTERM');
    const { signal } = await this.instance.child.exited;
    if (signal !== 'SIGKILL') return;
    await this.revive();
    await this.instance.down();
  }

  async history() {
    for (const done of this.told) assert.ok(await this.holds(done), `answered as done, and lost: ${done}`);
    const rows = async (sql) => (await query(join(this.instance.data, 'history.db'), sql)).map((row) => Object.values(row).join(' | '));
    return {
      // What people do is dated by the wall clock; all else by the devices'.
      events: await rows(`select incident_id, ordinal, rule_hash, from_state, to_state, level_from, level_to, reason, opens,
        iif(reason like 'ack:%' or reason in ('silenced', 'unsilenced', 'comment'), '', event_ms - ${START}) as at, value, threshold, window_start_ms - ${START} as begins,
        aggregates_json, message, actor, comment, suppressed_by from alert_event order by incident_id, ordinal`),
      states: await rows(`select rule, key, state, level, incident_id, opening, events, acked_by, owed from alert_state order by 1, 2`),
      notifications: await rows(`select id, link, incident_id, rule, key, level, type, quiet from notification order by id`),
      deliveries: await rows(`select id, notification_id, target, status from push_delivery order by id`),
      silences: await rows(`select stage, id, matchers_json, author, ended_ms is null as open from silence`),
      integrity: await rows('pragma integrity_check'),
    };
  }
}

test('a kill at any moment of any commit leaves the history that an undisturbed run leaves', async (t) => {
  const broker = await Broker.start(t);
  const webhook = await WebhookReceiver.start(t);
  const run = async (killAt) => {
    const one = new Run(t, broker, webhook, `run${killAt}`);
    await one.prepare(killAt);
    await one.script();
    await one.publisher.finish();
    await one.stop();
    return { killAt, killed: one.killed, history: await one.history() };
  };
  const undisturbed = await run(0);
  assert.ok(!undisturbed.killed);
  assert.deepEqual(undisturbed.history.integrity, ['ok']);
  assert.ok(undisturbed.history.events.length >= 14, undisturbed.history.events.join('\n'));
  assert.equal(undisturbed.history.deliveries.length, undisturbed.history.notifications.length);

  const same = ({ killAt, history }) =>
    assert.deepEqual(history, undisturbed.history, `killed at moment ${killAt} (MOMENT=${killAt} repeats it alone)`);
  if (process.env.MOMENT) return same(await run(Number(process.env.MOMENT)));

  // How many moments there are differs a little from run to run, as commits that wait together are written together: the last is
  // found when all of one round have ended by themselves.
  let kills = 0;
  for (let first = 1, more = true; more; first += TOGETHER) {
    const round = await Promise.all(Array.from({ length: TOGETHER }, (_, i) => run(first + i)));
    round.forEach(same);
    const killed = round.filter((one) => one.killed).length;
    kills += killed;
    more = killed > 0;
  }
  t.diagnostic(`${kills} kills`);
  assert.ok(kills >= 40, `only ${kills} moments`);
});
