// Made-up readings whose alerts are known beforehand.

import { HOT_RULE } from './stages.mjs';

/// `count` messages of `devices` devices, a tenth of a second apart in event time, ending now. In every 100 messages of a device the
/// temperature is above 30 for ten and back under 25 after them, and humidity jumps once, at the device's `jump`th message.
export function readings({ count, devices, jump = 500, end = Date.now() }) {
  const messages = [];
  const start = end - (count / devices) * 100;
  for (let i = 0; i < count; ++i) {
    const n = Math.floor(i / devices);
    messages.push({
      deviceId: `AZ3166-${(i % devices) + 1}`,
      messageId: n + 1,
      temperature: n % 100 >= 40 && n % 100 < 50 ? 31.5 : 22.25,
      humidity: n + 1 >= jump ? 62 : 50,
      ts: Math.round(start + n * 100),
    });
  }
  return messages;
}

/// The alert stage for them. The time of a reading is its own, and late enough is not late.
export const ALERT_STAGE = `
  - id: climate
    plugin: alert
    from: comfort
    time: {field: ts, late: 1h}
    rules:${HOT_RULE}
      humidity-jump:
        watch: {rise: humidity, within: 30s}
        above: 10
        clear: {below: 5}
        severity: warning
        message: "{key}: humidity up {value:.1f} points in 30 s"
`;

/// What that stage has to report of them: [device, rule, from, to, time], in the order of time, then device.
export function transitions(messages, { jump = 500 } = {}) {
  const expected = [];
  const hot = new Map();
  const jumped = new Map();
  for (const { deviceId, messageId, temperature, ts } of messages) {
    if (!hot.get(deviceId) && temperature > 30) {
      hot.set(deviceId, true);
      expected.push([deviceId, 'hot', 'OK', 'FIRING', ts]);
    } else if (hot.get(deviceId) && temperature < 25) {
      hot.set(deviceId, false);
      expected.push([deviceId, 'hot', 'FIRING', 'OK', ts]);
    }
    if (messageId === jump) {
      jumped.set(deviceId, ts);
      expected.push([deviceId, 'humidity-jump', 'OK', 'FIRING', ts]);
    }
    // The last low reading, 100 ms before the jump, leaves (t-30s, t] at t = jump - 100 ms + 30 s.
    if (jumped.has(deviceId) && ts === jumped.get(deviceId) - 100 + 30_000) {
      expected.push([deviceId, 'humidity-jump', 'FIRING', 'OK', ts]);
    }
  }
  return sorted(expected);
}

/// How people are told of those transitions: [device, rule, type, time].
export function notices(messages, options) {
  return sorted(
    transitions(messages, options)
      .map((row) => JSON.parse(row))
      .map(([key, rule, , to, time]) => [key, rule, to === 'FIRING' ? 'firing' : 'resolved', time]),
  );
}

export function sorted(rows) {
  return rows.map((row) => JSON.stringify(row)).sort();
}
