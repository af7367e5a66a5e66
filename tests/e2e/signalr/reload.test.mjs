// The signalr stage within the program: its sockets live through a reload that does not touch it, and are sent away, to come again,
// by one that does.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Instance } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';
import { started } from './hub_client.mjs';

const pipeline = ({ interval = '20ms', option = '' }) => `name: live
stages:
  - id: devkits
    plugin: emulator
    devices: 2
    interval: ${interval}
  - id: live
    plugin: signalr
${option}`;

test('a reload keeps the sockets of an unchanged stage, and reconnects those of a changed one', async (t) => {
  const instance = await Instance.start(t, { 'pipeline.yaml': pipeline({}) });
  const connection = await started(t, { url: `${instance.url}/hubs/telemetry` }, { reconnect: true });
  let reconnected = 0;
  connection.onreconnected(() => ++reconnected);
  const more = async () => {
    const before = connection.records.length;
    await until('more telemetry', () => connection.records.length > before + 5);
  };
  const reloads = () => instance.child.stderr.split('reloaded').length - 1;
  await more();

  instance.write('pipeline.yaml', pipeline({ interval: '10ms' }));
  await until('the first reload', () => reloads() === 1);
  await more();
  assert.equal(reconnected, 0);

  instance.write('pipeline.yaml', pipeline({ interval: '10ms', option: '    client_queue: 32KiB\n' }));
  await until('the client to be back', () => reconnected === 1);
  await more();
  await instance.down();
});
