// The yardstick of the file benchmarks: the same work as transform.lua in a plain loop of JSON.parse, all results thrown away.
import { createInterface } from 'node:readline';
import { createReadStream } from 'node:fs';

let kept = 0;
for await (const line of createInterface({ input: createReadStream(process.argv[2], { highWaterMark: 1 << 20 }) })) {
  const record = JSON.parse(line);
  if (record.messageId % 25 < 3) continue;
  record.dew = record.temperature - (100 - record.humidity) / 5;
  record.temp = record.temperature;
  delete record.temperature;
  ++kept;
}
console.log(kept);
