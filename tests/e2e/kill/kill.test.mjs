// SIGKILL at random moments: what the publisher saw acknowledged is kept, and no alert is raised or told twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broker, Publisher } from '../support/broker.mjs';
import { Instance, query } from '../support/millrace.mjs';
import { DOUBLE_CODE, mqttSource, sizeOf } from '../support/stages.mjs';
import { ALERT_STAGE, notices, readings, sorted, transitions } from '../support/telemetry.mjs';
import { random, readJsonLines, until } from '../support/wait.mjs';
import { WebhookReceiver } from '../support/webhook.mjs';

const COUNT = 20_000;
const KILLS = 20;
const SEED = Number(process.env.SEED ?? 20261121);

test(`20,000 acknowledged messages survive ${KILLS} kills, and each alert is kept and told once (SEED=${SEED})`, async (t) => {
  const next = random(SEED);
  const broker = await Broker.start(t);
  const webhook = await WebhookReceiver.start(t);
  const instance = await Instance.prepare(t, {
    'pipeline.yaml': `
name: killed
stages:${mqttSource(broker, 'killed')}
  - id: comfort
    plugin: lua
    ${DOUBLE_CODE}

  - id: kept
    plugin: file_sink
    path: out.jsonl
${ALERT_STAGE}
  - id: phone
    plugin: push
    from: climate
    to: ["${webhook.url}/hook"]
`,
  });
  const kept = instance.path('out.jsonl');
  const size = () => sizeOf(kept);

  await instance.up();
  await broker.subscribed();
  const messages = readings({ count: COUNT, devices: 10 });
  const publisher = new Publisher(t, broker, 'devices/AZ3166/messages/events/');
  const perRound = COUNT / KILLS;
  let whileWorking = 0;

  for (let round = 0; round < KILLS; ++round) {
    const before = size();
    publisher.write(messages.slice(round * perRound, (round + 1) * perRound));
    if (round % 3 === 2) {
      // A moment of the start: nothing is waited for but a time that the dice choose.
      const moment = next() * 150;
      await new Promise((resolve) => setTimeout(resolve, moment));
    } else {
      // A moment of the work: when the file has grown by so much.
      const grown = 1 + next() * perRound * 60;
      await until(
        () => `the file to grow by ${grown} bytes; millrace said:\n${instance.child.stderr}`,
        () => size() > before + grown,
        { everyMs: 1 },
      );
    }
    await instance.child.kill('SIGKILL');
    if (size() > before) ++whileWorking;
    instance.launch();
  }
  assert.ok(whileWorking >= KILLS / 2, `only ${whileWorking} kills came while records were written`);

  await publisher.finish();
  assert.equal(publisher.acknowledgedIds.size, COUNT);

  const wanted = new Set(messages.map((m) => `${m.deviceId}/${m.messageId}`));
  await until(
    () => {
      const there = new Set(readJsonLines(kept).map((r) => `${r.deviceId}/${r.messageId}`));
      const lost = [...wanted].filter((id) => !there.has(id));
      return `all messages in the file; ${lost.length} are missing, such as ${lost.slice(0, 5)}; millrace said:\n${instance.child.stderr}`;
    },
    () => {
      const there = new Set(readJsonLines(kept).map((r) => `${r.deviceId}/${r.messageId}`));
      return [...wanted].every((id) => there.has(id));
    },
    { everyMs: 200 },
  );

  const expected = transitions(messages);
  const ids = () => new Set(webhook.bodies.map((body) => body.id));
  await until(() => `${expected.length} notifications, ${ids().size} came`, () => ids().size >= expected.length);
  await instance.down();

  const history = `${instance.data}/history.db`;
  const rows = await query(history, 'select key, rule, from_state, to_state, event_ms from alert_event');
  assert.deepEqual(sorted(rows.map((r) => [r.key, r.rule, r.from_state, r.to_state, r.event_ms])), expected);

  const notifications = await query(history, "select id, incident_id, type from notification where link = 'phone'");
  assert.equal(new Set(notifications.map(({ id }) => id)).size, notifications.length);
  assert.equal(new Set(notifications.map(({ incident_id, type }) => `${incident_id} ${type}`)).size, notifications.length);
  assert.equal(notifications.length, expected.length);
  const deliveries = await query(history, 'select id, notification_id, status from push_delivery');
  assert.equal(new Set(deliveries.map((d) => d.notification_id)).size, deliveries.length);
  assert.ok(deliveries.every(({ status }) => status === 'delivered'));

  // A webhook that answered while the sender died hears of it again, under the same identifier and with the same words.
  const bodies = new Map();
  for (const body of webhook.bodies) {
    const text = JSON.stringify([body.key, body.rule, body.type, body.time]);
    assert.equal(bodies.get(body.id) ?? text, text);
    bodies.set(body.id, text);
  }
  assert.deepEqual([...bodies.values()].sort(), notices(messages));
});
