// What a field measures: its name for people, its unit, and how much it matters. Known names get the units that the devices'
// drivers deliver; a text field `NAME_unit` or `NAMEUnit` beside a value says otherwise.

export interface Quantity {
  label: string;
  unit: string;
  decimals: number | undefined; // undefined: as many as the value needs, up to three
  rank: number; // lower is shown first
  counter: boolean; // numbers of messages and the like: no measurement, no chart
}

type Known = readonly [names: string, unit: string, decimals?: number];

// In the order of interest.
const KNOWN: readonly Known[] = [
  ["temperature temp", "°C", 1],
  ["humidity relativehumidity", "%", 1],
  ["pressure", "hPa", 1],
  ["dewpoint", "°C", 1],
  ["heatindex feelslike", "°C", 1],
  ["co2", "ppm", 0],
  ["pm25 pm10", "µg/m³", 0],
  ["illuminance lux light", "lx", 0],
  ["count customers people", "", 0],
  ["rpm", "rpm", 0],
  ["torque", "Nm", 1],
  ["power", "W", 1],
  ["voltage", "V", 2],
  ["current", "A", 2],
  ["energy", "kWh", 2],
  ["speed", "m/s", 1],
  ["battery batterylevel", "%", 0],
  ["lat latitude lon lng longitude", "°", 5],
  ["accelerometer acceleration", "mg", 0],
  ["gyroscope gyro", "mdps", 0],
  ["magnetometer magnet", "mgauss", 0],
  ["rssi", "dBm", 0],
];

const COUNTERS = new Set(["messageid", "sequence", "seq", "id", "ts", "time", "timestamp", "uptime"]);
const OWN_NAMES = new Map([
  ["co2", "CO₂"],
  ["pm25", "PM2.5"],
  ["pm10", "PM10"],
  ["rpm", "Rotation"],
  ["rssi", "Signal strength"],
]);

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");

const known = new Map<string, { unit: string; decimals: number | undefined; rank: number }>();
KNOWN.forEach(([names, unit, decimals], rank) => {
  for (const name of names.split(" ")) known.set(name, { unit, decimals, rank });
});

/** What an axis spans to show values from `low` to `high`: more than nothing, and not only the noise of their last digit. */
export function rangeOf(quantity: Quantity, low: number, high: number): [number, number] {
  const spare = Math.max(0, noticeable(quantity, Math.max(Math.abs(low), Math.abs(high))) - (high - low)) / 2;
  return [low - spare, high + spare];
}

/** A difference in the quantity that is worth seeing: some of its last digits. `size` is how large its values are. */
function noticeable(quantity: Quantity, size: number): number {
  if (quantity.decimals !== undefined) return Math.max(4 * 10 ** -quantity.decimals, size * 1e-9);
  return size === 0 ? 1 : Math.max(size * 0.002, 1e-300);
}

export function quantityOf(name: string, ownUnit?: string): Quantity {
  const key = plain(name);
  const found = known.get(key);
  return {
    label: OWN_NAMES.get(key) ?? labelOf(name),
    unit: ownUnit === undefined ? (found?.unit ?? "") : unitSign(ownUnit),
    decimals: found?.decimals,
    rank: found?.rank ?? KNOWN.length,
    counter: COUNTERS.has(key),
  };
}

/** "dewPoint", "dew_point" and "dew.point" read "Dew point". */
export function labelOf(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_.\-\s]+/g, " ")
    .trim();
  if (!words) return name;
  const lower = words.split(" ").map((word) => (/^[A-Z0-9]{2,}$/.test(word) ? word : word.toLowerCase()));
  const text = lower.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function unitSign(unit: string): string {
  return /^[CF]$/.test(unit) ? `°${unit}` : unit;
}

/** The field whose unit a text field names, if it does: "temperature_unit" and "TemperatureUnit" name temperature's. */
export function unitFieldOf(name: string): string | undefined {
  return /^(.+?)(?:_unit|Unit)$/.exec(name)?.[1];
}

/** The vector a component belongs to: "accelerometer.x", "accelerometerX" and "accelerometer_x" are x of accelerometer. */
export function componentOf(name: string): { vector: string; axis: string } | undefined {
  const match = /^(.*[a-z0-9])(?:[._]([xyz])|([XYZ]))$/.exec(name);
  if (!match) return undefined;
  return { vector: match[1] as string, axis: (match[2] ?? match[3] ?? "").toLowerCase() };
}
