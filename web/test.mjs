// Runs the unit tests: bundles each src/**/*.test.ts, since Node reads no TypeScript, and hands them to Node's test runner. With
// a folder, also holds the page built there to its size.
//
//   node test.mjs [DIST]

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const dist = process.argv[2];

// All that a phone loads before it shows the first value, and the manifest and icon with it.
const SHELL = new Set([".html", ".js", ".css", ".svg", ".webmanifest"]);
const LIMIT = 60_000;

const tests = list(join(here, "src")).filter((file) => file.endsWith(".test.ts"));
const folder = mkdtempSync(join(tmpdir(), "millrace-web-"));
let failed = false;
try {
  await build({
    absWorkingDir: here,
    entryPoints: tests,
    outdir: folder,
    outExtension: { ".js": ".test.mjs" },
    entryNames: "[name]",
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node18",
    jsx: "automatic",
    jsxImportSource: "preact",
    sourcemap: "inline",
    logLevel: "warning",
  });
  const files = list(folder);
  const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", "--test-reporter=spec", ...files], { stdio: "inherit" });
  failed = run.status !== 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

if (dist !== undefined) {
  const shell = list(dist).filter((file) => SHELL.has(extname(file)));
  const size = shell.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
  console.log(`page: ${shell.length} files, ${size} bytes compressed, of ${LIMIT} allowed`);
  if (shell.length === 0 || size > LIMIT) failed = true;
}
process.exitCode = failed ? 1 : 0;

function list(root) {
  return readdirSync(root, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? list(join(root, entry.name)) : [join(root, entry.name)],
  );
}
