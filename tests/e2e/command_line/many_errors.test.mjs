// One file with everything wrong at once: one run of `check` must tell all of it, each at its place, and nothing else.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { millrace } from '../support/millrace.mjs';

const FILE = join(fileURLToPath(import.meta.url), '..', 'many_errors.yaml');

/// The places and words that stand in the file's own comments.
function expected() {
  return readFileSync(FILE, 'utf8')
    .split('\n')
    .flatMap((text, i) => {
      const [, comment] = text.match(/ # !(\d.*)$/) ?? [];
      return (comment?.split(' !') ?? []).map((entry) => {
        const [, column, words] = entry.match(/^(\d+) (.*)$/);
        return { place: `${i + 1}:${column}`, words };
      });
    });
}

test('all that is wrong with a file is told in one run, in the order of the file', async (t) => {
  const { code, stdout } = await millrace(t, ['check', '--format', 'json', FILE]);
  assert.equal(code, 1);
  const problems = JSON.parse(stdout);
  const wanted = expected();
  assert.ok(wanted.length > 35);
  assert.deepEqual(
    problems.map(({ line, column, what }) => `${line}:${column} ${what}`),
    problems.map(({ line, column, what }, i) =>
      wanted[i]?.place === `${line}:${column}` && what.includes(wanted[i].words)
        ? `${line}:${column} ${what}`
        : `${wanted[i]?.place} ...${wanted[i]?.words}...`,
    ),
  );
  assert.equal(problems.length, wanted.length);
});
