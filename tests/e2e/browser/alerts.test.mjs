// What the page says of alerts that moved while it was not there.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import test from 'node:test';
import { Instance, millrace } from '../support/millrace.mjs';
import { until } from '../support/wait.mjs';
import { launch, open } from './browser.mjs';

const PIPELINE = `
name: kiln
stages:
  - {id: lines, plugin: file_source, path: lines.jsonl, follow: true, device: {field: deviceId}}
  - id: watch
    plugin: alert
    rules:
      hot: {watch: {value: temperature}, above: 900, severity: critical, message: "{key} is at {value:.0f}"}
  - {id: live, plugin: signalr, from: [lines, watch]}
`;

test('the page knows what was open before it was, who has seen to it, and what ended while the line was down', async (t) => {
  const line = (deviceId, temperature) => `${JSON.stringify({ deviceId, temperature })}\n`;
  const instance = await Instance.start(t, { 'pipeline.yaml': PIPELINE, 'lines.jsonl': line('north', 950) + line('south', 960) });
  const browser = await launch(t);

  // Once both are in the history, whoever opens the page was not there.
  await until('both alerts', async () => (await (await fetch(`${instance.url}/api/alerts?state=open`)).json()).alerts.length === 2);
  // People of the United States have no less room below their charts.
  const { page, complaints } = await open(t, browser, `${instance.url}/#/alerts`, { locale: 'en-US' });
  await page.locator('.incident', { hasText: 'north is at 950' }).waitFor();
  await page.locator('.incident', { hasText: 'south is at 960' }).waitFor();
  assert.equal(await page.locator('.event').count(), 0);
  assert.match(await page.locator('.incident').first().innerText(), /since \d\d:\d\d:\d\d \(/);

  assert.equal((await millrace(t, ['alerts', 'ack', 'north', '--by', 'ann', '--data', instance.data])).code, 0);
  await page.locator('.incident', { hasText: 'north is at 950' }).getByText('acknowledged by ann').waitFor();
  await page.reload();
  await page.locator('.incident', { hasText: 'north is at 950' }).getByText('acknowledged by ann').waitFor();
  assert.deepEqual(complaints, []);

  await instance.down();
  await page.locator('.incident .doubt').nth(1).waitFor();
  appendFileSync(instance.path('lines.jsonl'), line('north', 20));
  await instance.up();
  await page.locator('.incident', { hasText: 'north' }).waitFor({ state: 'detached' });
  await page.locator('.incident', { hasText: 'south is at 960' }).waitFor();
  await page.locator('.doubt').waitFor({ state: 'detached' });
});
