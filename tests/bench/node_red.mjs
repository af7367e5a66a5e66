// Node-RED as a yardstick: the same work as pipelines/latency.yaml, an MQTT message through a script to WebSocket clients.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FLOW = (broker, topic) => [
  { id: 'flow', type: 'tab', label: 'latency' },
  { id: 'broker', type: 'mqtt-broker', broker: broker.hostname, port: broker.port, autoConnect: true, protocolVersion: '4', keepalive: '60', cleansession: true },
  { id: 'in', type: 'mqtt in', z: 'flow', topic, qos: '0', datatype: 'json', broker: 'broker', wires: [['rule']] },
  {
    id: 'rule', type: 'function', z: 'flow', outputs: 1, wires: [['out']],
    func: 'msg.payload.dew = msg.payload.temperature - (100 - msg.payload.humidity) / 5; return msg;',
  },
  { id: 'clients', type: 'websocket-listener', path: '/latency', wholemsg: 'false' },
  { id: 'out', type: 'websocket out', z: 'flow', server: 'clients', wires: [] },
];

/// Starts `program` (Node-RED's `node-red`) with its files in `folder`: {child, port}. Clients connect to /latency of the port.
export function nodeRed(program, { start, folder, port, broker, topic }) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'flows.json'), JSON.stringify(FLOW(new URL(broker), topic)));
  writeFileSync(
    join(folder, 'settings.js'),
    `module.exports = ${JSON.stringify({ flowFile: 'flows.json', uiPort: port, uiHost: '127.0.0.1', httpAdminRoot: false, telemetry: { enabled: false }, logging: { console: { level: 'error' } } })};\n`,
  );
  const child = start(program, ['--userDir', folder, '--settings', join(folder, 'settings.js')], { stdio: ['ignore', 'ignore', 'inherit'] });
  return { child, port };
}
