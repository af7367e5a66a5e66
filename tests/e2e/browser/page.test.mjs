// The page as a person has it: the shipped emulator pipeline in a real browser.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { MILLRACE, ROOT } from '../support/millrace.mjs';
import { Child, temporaryFolder } from '../support/process.mjs';
import { until } from '../support/wait.mjs';
import { accessibilityProblems, launch, open } from './browser.mjs';

const PIPELINE = join(ROOT, 'pipelines', 'devkit-emulator.yaml');
const DEVICE = 'AZ3166-1';
const SHOTS = join(dirname(MILLRACE), 'screenshots');

// The first anomaly comes 20 s after the start.
const ALERT = { timeout: 90_000 };

async function start(t, data, address = '127.0.0.1:0') {
  const child = new Child(t, MILLRACE, ['run', PIPELINE, '--data', data, '--listen', address]);
  const [, url] = await child.says(/millrace: page (http:\S+)/);
  return { child, url };
}

const isLive = (page) => page.locator('[data-condition=live]').waitFor();

const shownValue = (page, field) => page.locator(`[data-device="${DEVICE}"] [data-field="${field}"] b`).textContent();

async function valueOtherThan(page, field, known) {
  await page.waitForFunction(
    ([device, name, before]) => {
      const text = document.querySelector(`[data-device="${device}"] [data-field="${name}"] b`)?.textContent;
      return text && text !== before;
    },
    [DEVICE, field, known],
  );
}

test('the page', async (t) => {
  const { url } = await start(t, temporaryFolder(t));
  const browser = await launch(t);

  await t.test('is served under a strict policy', async () => {
    const response = await fetch(url);
    const policy = new Map(
      response.headers
        .get('content-security-policy')
        .split(';')
        .map((directive) => directive.trim().split(/\s+(.*)/).slice(0, 2)),
    );
    assert.equal(policy.get('default-src'), "'none'");
    for (const name of ['script-src', 'style-src', 'connect-src']) assert.equal(policy.get(name), "'self'", name);
    for (const name of ['base-uri', 'form-action', 'frame-ancestors']) assert.equal(policy.get(name), "'none'", name);
  });

  await t.test('shows every device with values that move, and complains of nothing', async (t) => {
    const { page, complaints } = await open(t, browser, url);
    await isLive(page);
    await page.locator('.tile').nth(2).waitFor();
    assert.deepEqual(await page.locator('.tile-name').allTextContents(), ['AZ3166-1', 'AZ3166-2', 'AZ3166-3']);
    assert.match(await page.locator(`[data-device="${DEVICE}"]`).innerText(), /online[\s\S]*Temperature[\s\S]*°C[\s\S]*Humidity[\s\S]*%/);
    const first = await shownValue(page, 'temperature');
    assert.ok(Number(first) > 0 && Number(first) < 60, first);
    await valueOtherThan(page, 'temperature', first);
    assert.deepEqual(complaints, []);
  });

  await t.test('draws the lines of a device and says in words what they show', async (t) => {
    const { page, complaints } = await open(t, browser, url);
    await page.getByRole('link', { name: DEVICE }).click();
    await page.getByRole('heading', { level: 1, name: DEVICE }).waitFor();
    for (const panel of ['temperature', 'humidity', 'pressure', 'accelerometer']) {
      await page.locator(`[data-panel="${panel}"] canvas`).waitFor();
    }
    assert.deepEqual(await page.locator('[data-panel=accelerometer] .axis-name').allTextContents(), ['x', 'y', 'z']);
    await page.getByRole('img', { name: /^Temperature of AZ3166-1, last minute\. now \S+ °C, lowest \S+, highest \S+\.$/ }).waitFor();
    await page.waitForFunction(drawnColours, ['temperature', 20]);
    await page.getByRole('button', { name: '15 min' }).click();
    await page.getByRole('img', { name: /^Temperature of AZ3166-1, last 15 minutes\./ }).waitFor();
    assert.deepEqual(complaints, []);
  });

  await t.test('draws nothing while it is hidden, and goes on from there when it is seen again', async (t) => {
    const { page } = await open(t, browser, url, { initScript: hideable });
    let messages = 0;
    page.on('websocket', (socket) => socket.on('framereceived', () => ++messages));
    await page.reload();
    await page.getByRole('link', { name: DEVICE }).click();
    await page.waitForFunction(() => window.drawings > 3);

    await page.evaluate(() => window.hide(true));
    const drawn = await page.evaluate(() => window.drawings);
    const arrived = messages;
    await until('telemetry to arrive at the hidden page', () => messages >= arrived + 3);
    assert.equal(await page.evaluate(() => window.drawings), drawn);

    await page.evaluate(() => window.hide(false));
    await page.waitForFunction((before) => window.drawings > before, drawn);
  });

  await t.test('shows alerts as they happen, on every screen', async (t) => {
    const { page, complaints } = await open(t, browser, url);
    await page.locator('.tile .tile-alert').first().waitFor(ALERT);
    await page.locator('.tabs .badge').waitFor();
    await page.getByRole('link', { name: /^Alerts/ }).click();
    await page.locator('.incident', { hasText: /AZ3166-\d/ }).first().waitFor();
    await page.locator('.event', { hasText: /AZ3166-\d/ }).filter({ hasText: 'FIRING' }).first().waitFor();
    await page.locator('[role=status], [role=alert]').filter({ hasText: /AZ3166-\d/ }).first().waitFor({ state: 'attached' });
    assert.deepEqual(complaints, []);
  });

  await t.test('is accessible, fits and keeps still, light and dark, on a phone and on a desk', async (t) => {
    const looks = [];
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1200]) {
        looks.push({ name: `${width}-${colorScheme}`, ...(await open(t, browser, url, { width, colorScheme, reducedMotion: 'reduce' })) });
      }
    }
    // All of them see the same alert.
    await Promise.all(looks.map(({ page }) => page.locator('.tile .tile-alert').first().waitFor(ALERT)));
    mkdirSync(SHOTS, { recursive: true });
    for (const { name, page, complaints } of looks) {
      await page.bringToFront();
      for (const [screen, fragment] of Object.entries({ live: '#/', device: `#/device/${DEVICE}`, alerts: '#/alerts' })) {
        await page.evaluate((place) => (location.hash = place), fragment);
        await page.locator(`main > .${screen}`).waitFor();
        await page.screenshot({ path: join(SHOTS, `${screen}-${name}.png`) });
        assert.deepEqual(await accessibilityProblems(page), [], `${screen} ${name}`);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, `${screen} ${name} is too wide`);
        assert.equal(await page.evaluate(() => document.getAnimations().length), 0, `${screen} ${name} moves`);
      }
      assert.deepEqual(complaints, [], name);
    }
  });
});

test('the page says when the server is gone, keeps its values, and comes back by itself', async (t) => {
  const data = temporaryFolder(t);
  const first = await start(t, data);
  const browser = await launch(t);
  const { page } = await open(t, browser, first.url);
  await isLive(page);
  await page.locator('.tile').first().waitFor();

  await first.child.kill();
  await page.locator('[data-condition=reconnecting]').waitFor();
  assert.match(await page.locator('.line').innerText(), /values from \d\d:\d\d\s+Reconnecting \(\d+ s\)/);
  await page.locator('.tile.stale').first().waitFor();
  const last = await shownValue(page, 'temperature');
  assert.notEqual(last, '');

  await start(t, data, new URL(first.url).host);
  await isLive(page);
  await valueOtherThan(page, 'temperature', last);
  await page.locator(`[data-device="${DEVICE}"]:not(.stale)`).waitFor();
});

/// Whether the panel's canvas holds the colour of its line. Runs in the page.
function drawnColours([panel, least]) {
  const drawn = document.querySelector(`[data-panel="${panel}"] canvas`);
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [drawn.width, drawn.height];
  // So that the browser does not complain of the test's own reading.
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--line-1').trim();
  context.fillRect(0, 0, 1, 1);
  const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
  context.clearRect(0, 0, copy.width, copy.height);
  context.drawImage(drawn, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) ++found;
  return found >= least;
}

/// Lets the test hide the page as another tab would, and counts the drawings of charts. Runs in the page, before its script.
function hideable() {
  let hidden = false;
  Object.defineProperty(document, 'hidden', { get: () => hidden });
  window.hide = (now) => {
    hidden = now;
    document.dispatchEvent(new window.Event('visibilitychange'));
    // What was under way when it was hidden may end.
    return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  };
  window.drawings = 0;
  const { clearRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    ++window.drawings;
    return clearRect.apply(this, box);
  };
}

test('a listener that asks for tokens lets the page in by a link, once, and by its cookie from then on', async (t) => {
  const folder = temporaryFolder(t);
  const pipeline = join(folder, 'pipeline.yaml');
  writeFileSync(
    pipeline,
    `
name: guarded
listen: {address: 127.0.0.1:0, auth: required}
stages:
  - {id: devkits, plugin: emulator, devices: 1}
  - {id: live, plugin: signalr}
`,
  );
  const data = join(folder, 'data');
  const child = new Child(t, MILLRACE, ['run', pipeline, '--data', data, '--listen', '127.0.0.1:0']);
  const [, url] = await child.says(/millrace: page (http:\S+)/);
  const { stdout } = await new Child(t, MILLRACE, ['token', '--data', data, '--user', 'ann']).end();
  const token = stdout.trim();
  const browser = await launch(t);

  assert.equal((await fetch(`${url}hubs/telemetry/negotiate`, { method: 'POST' })).status, 401);
  const { page: stranger } = await open(t, browser, url);
  await stranger.locator('.empty', { hasText: 'asks for a token' }).waitFor();
  const { page } = await open(t, browser, `${url}#token=${token}`);
  await isLive(page);
  assert.equal(new URL(page.url()).hash, '');
  await page.reload();
  await isLive(page);
});

test('a value that came once, and is zero, is a dot on an axis of sensible figures', async (t) => {
  const folder = temporaryFolder(t);
  const pipeline = join(folder, 'pipeline.yaml');
  const lines = join(folder, 'lines.jsonl');
  writeFileSync(lines, `${JSON.stringify({ deviceId: 'door', relay: 0 })}\n`);
  writeFileSync(
    pipeline,
    `
name: quiet
stages:
  - {id: lines, plugin: file_source, path: ${lines}, follow: true, device: {field: deviceId}}
  - {id: live, plugin: signalr}
`,
  );
  const child = new Child(t, MILLRACE, ['run', pipeline, '--data', join(folder, 'data'), '--listen', '127.0.0.1:0']);
  const [, url] = await child.says(/millrace: page (http:\S+)/);
  const { page, complaints } = await open(t, await launch(t), url);
  await page.locator('[data-device=door] .spark path[d^=M]').waitFor({ state: 'attached' });
  assert.match(await page.locator('[data-device=door] .spark path').getAttribute('d'), /^M[\d. ]+h0\.1$/);
  await page.getByRole('link', { name: 'door' }).click();
  await page.waitForFunction(drawnColours, ['relay', 6]);
  await page.getByRole('img', { name: 'Relay of door, last minute. now 0, lowest 0, highest 0.' }).waitFor();
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, 'device-one-value.png') });
  assert.deepEqual(complaints, []);
});
