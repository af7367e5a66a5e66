// Scripts that would take the process with them: each is stopped within its budget, and the pipeline goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Instance } from '../support/millrace.mjs';
import { readJsonLines, until } from '../support/wait.mjs';

// Each does its harm on the record whose `n` is 1; those before and after have to pass.
const ATTACKS = {
  'an endless loop': 'while true do end',
  'an endless loop inside pcall': 'while true do pcall(function() while true do end end) end',
  'an endless loop inside a coroutine': 'coroutine.wrap(function() while true do end end)()',
  "an endless loop inside a sort's comparator": 'table.sort({3, 2, 1}, function() while true do end end)',
  'a pattern that backtracks for ever': 'local s = ("a"):rep(200); return s:find((".-"):rep(6) .. "b")',
  'a finalizer that loops': 'setmetatable({}, {__gc = function() while true do end end}); error("made")',
  'an allocation bomb': 'local t = {}; for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end',
  'string.rep to a gigabyte': 'local s = string.rep("x", 1 << 30); record.size = #s',
  'os.execute': 'os.execute("touch harm")',
  'io.open': 'io.open("harm", "w")',
  bytecode: 'load("\\27Lua")()',
  'a huge table.move': 'table.move({}, 1, 1 << 60, 2)',
  'a huge table.concat': 'table.concat(setmetatable({}, {__len = function() return 1 << 60 end, __index = function() return "x" end}))',
  'deep recursion': 'local function f() return 1 + f() end; f()',
};

for (const [what, code] of Object.entries(ATTACKS)) {
  test(`${what} costs its record alone`, async (t) => {
    const instance = await Instance.prepare(t, {
      'attack.lua': `
        local function harm(record) ${code} end
        function process(record)
          if record.n == 1 then harm(record) end
          return record
        end
      `,
      'input.jsonl': '{"n":0}\n{"n":1}\n{"n":2}\n',
      'pipeline.yaml': `
name: attack
stages:
  - {id: input, plugin: file_source, path: input.jsonl}
  - {id: attack, plugin: lua, script: attack.lua}
  - {id: kept, plugin: file_sink, path: out.jsonl}
`,
    });
    const { code: status, signal, stderr } = await instance.launch().end(30);
    assert.equal(signal, null, stderr);
    assert.equal(status, 0, stderr);
    assert.deepEqual(readJsonLines(instance.path('out.jsonl')), [{ n: 0 }, { n: 2 }], stderr);
    const letters = await instance.query("select error from dead_letter where stage = 'attack'");
    assert.equal(letters.length, 1);
    await assert.rejects(async () => (await import('node:fs/promises')).access(instance.path('harm')));
  });
}

test('a saved script that does not compile leaves the old one running and says so', async (t) => {
  const instance = await Instance.start(t, {
    'rule.lua': 'function process(record) record.version = 1; return record end',
    'pipeline.yaml': `
name: saved
stages:
  - {id: devkit, plugin: emulator, interval: 10ms, devices: 1}
  - {id: rule, plugin: lua, script: rule.lua}
  - {id: kept, plugin: file_sink, path: out.jsonl}
`,
  });
  const rows = () => readJsonLines(instance.path('out.jsonl'));
  await until('records of the first script', () => rows().length > 5);

  instance.write('rule.lua', 'function process(record) retrun record end');
  await instance.child.says(/rule\.lua:1/);
  const then = rows().length;
  await until('records of the first script, still', () => rows().length > then + 5);
  assert.ok(rows().every(({ version }) => version === 1));

  instance.write('rule.lua', 'function process(record) record.version = 2; return record end');
  await until('records of the second script', () => rows().at(-1)?.version === 2);
  await instance.down();
});
