// What the pipelines of several tests are made of.
import { statSync } from 'node:fs';

/// A source of QoS 1 with a session that the broker keeps; `more` are further keys of it, a line each.
export const mqttSource = (broker, clientId, more = '') => `
  - id: devkit
    plugin: mqtt_source
    broker: ${broker.url}
    topics: [devices/+/messages/events/#]
    qos: 1
    client_id: ${clientId}
    clean_session: false
    device: {field: deviceId}
${more && `    ${more}\n`}`;

/// Readings from a file that grows, dated by themselves.
export const FILE_SOURCE = `
  - id: readings
    plugin: file_source
    path: in.jsonl
    follow: true
    device: {field: deviceId}
    time: {field: ts}
`;

/// A rule of an alert stage.
export const HOT_RULE = `
      hot:
        watch: {value: temperature}
        above: 30
        clear: {below: 25}
        severity: critical
        message: "{key}: {value:.1f} degrees"`;

/// A transform whose work shows in every record.
export const DOUBLE = `
function process(record)
  record.twice = record.messageId * 2
  return record
end
`;
export const doubled = (message) => ({ ...message, twice: message.messageId * 2 });

/// The script within a stage's \`code: |\`.
export const DOUBLE_CODE = `code: |${DOUBLE.replaceAll('\n', '\n      ')}`;

/// Bytes of a file that may not be there yet.
export const sizeOf = (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
