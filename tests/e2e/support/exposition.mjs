// A critic of Prometheus's text format, as its documents and `promtool check metrics` have it: what is wrong with a page, in words.

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const UNITS = /_(seconds|bytes|ratio|records|batches|percent|milliseconds|microseconds|kilobytes|minutes)(_total)?$/;
const NOT_BASE = new Set(['percent', 'milliseconds', 'microseconds', 'kilobytes', 'minutes']);

function labelsOf(text) {
  const labels = new Map();
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const match = LABEL.exec(text);
    if (!match) return undefined;
    if (labels.has(match[1])) return undefined;
    labels.set(match[1], match[2]);
  }
  return labels;
}

export function critique(page) {
  const problems = [];
  const families = new Map();
  const closed = new Set();
  const seen = new Set();
  let current;
  if (!page.endsWith('\n')) problems.push('the last line does not end');
  const family = (name) => {
    if (current !== name) {
      if (closed.has(name)) problems.push(`${name}: its lines do not stand together`);
      closed.add(current);
      current = name;
    }
    if (!families.has(name)) families.set(name, { samples: 0 });
    return families.get(name);
  };
  for (const line of page.split('\n').slice(0, -1)) {
    const comment = line.match(/^# (HELP|TYPE) (\S+) ?(.*)$/);
    if (comment) {
      const [, what, name, rest] = comment;
      const of = family(name);
      if (of.samples > 0) problems.push(`${name}: ${what} after a sample`);
      if (of[what] !== undefined) problems.push(`${name}: ${what} twice`);
      if (rest === '') problems.push(`${name}: an empty ${what}`);
      of[what] = rest;
      continue;
    }
    const sample = line.match(/^([^\s{]+)(?:\{(.*)\})? (\S+)$/);
    if (!sample) {
      problems.push(`not a line of the format: ${line}`);
      continue;
    }
    const [, name, labels = '', value] = sample;
    family(name).samples++;
    if (!NAME.test(name)) problems.push(`${name}: not a name`);
    if (!labelsOf(labels)) problems.push(`${name}: labels that are none: ${labels}`);
    if (Number.isNaN(Number(value))) problems.push(`${name}: not a number: ${value}`);
    if (seen.has(`${name}{${labels}}`)) problems.push(`${name}{${labels}}: twice`);
    seen.add(`${name}{${labels}}`);
  }
  for (const [name, { HELP, TYPE, samples }] of families) {
    if (HELP === undefined) problems.push(`${name}: no HELP`);
    if (!['counter', 'gauge'].includes(TYPE)) problems.push(`${name}: TYPE is ${TYPE}`);
    if (samples === 0) problems.push(`${name}: no sample`);
    if ((TYPE === 'counter') !== name.endsWith('_total')) problems.push(`${name}: a ${TYPE}`);
    const [, unit] = name.match(UNITS) ?? [];
    if (NOT_BASE.has(unit)) problems.push(`${name}: ${unit} is no base unit`);
    if (!name.startsWith('millrace_')) problems.push(`${name}: whose is it?`);
  }
  return problems;
}
