// The app of 2019, played by the client library of its time, on the example as it is shipped.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import test from 'node:test';
import { Instance, ROOT } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';

const { HubConnectionBuilder, HttpTransportType, LogLevel, VERSION } = createRequire(import.meta.url)('@aspnet/signalr');
const EXAMPLE = readFileSync(join(ROOT, 'examples/xamarin-blog/pipeline.yaml'), 'utf8');

for (const [name, transport] of Object.entries({ WebSockets: HttpTransportType.WebSockets, 'Long Polling': HttpTransportType.LongPolling })) {
  test(`the app gets its measurements over ${name}`, async (t) => {
    const instance = await Instance.start(t, { 'pipeline.yaml': EXAMPLE.replace('interval: 1s', 'interval: 50ms') });
    const app = new HubConnectionBuilder().withUrl(`${instance.url}/api/`, transport).configureLogging(LogLevel.None).build();
    const calls = [];
    app.on('measurement', (...args) => calls.push(args));
    t.after(() => app.stop());
    await app.start();
    await until('measurements', () => calls.length >= 5);
    for (const [text, ...more] of calls) {
      assert.deepEqual(more, []);
      assert.equal(typeof text, 'string');
      for (const one of JSON.parse(text)) {
        assert.deepEqual(Object.keys(one).sort(), ['Humidity', 'HumidityUnit', 'Pressure', 'PressureUnit', 'Temperature', 'TemperatureUnit']);
        assert.equal(typeof one.Temperature, 'number');
      }
    }
  });
}

test('version 0 is what such a client negotiates', async (t) => {
  assert.match(VERSION, /^(1\.|0\.0\.0-DEV_BUILD$)/);
  const instance = await Instance.start(t, { 'pipeline.yaml': EXAMPLE });
  const answer = await (await fetch(`${instance.url}/api/negotiate`, { method: 'POST' })).json();
  assert.equal(answer.negotiateVersion, 0);
  assert.equal(answer.connectionToken, undefined);
  assert.ok(answer.connectionId);
});
