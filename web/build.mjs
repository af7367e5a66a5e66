// Builds the page into a folder: one script, one style sheet, and the files of public/ as they are.
//
//   node build.mjs [--out FOLDER] [--embed FILE.cpp] [--watch]
//
// FOLDER is dist/ by default. With --embed it also writes a C++ source that carries the files in the executable; see files.h.
// licenses.txt holds the terms of what the script is made of. File names do not change with their content: the server tells
// browsers by ETag what is new.

import { build, context } from "esbuild";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cppSource } from "./embed.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: { out: { type: "string" }, embed: { type: "string" }, watch: { type: "boolean" } },
});
const out = resolve(options.out ?? join(here, "dist"));

// uPlot brings four ways to draw a line, and offers each from the outside, so that no bundler sees that we draw straight ones:
// without these three there are two kilobytes less to load.
const UNUSED = [/^\s*\(paths\.stepped = \w+\);$/m, /^\s*\(paths\.bars\s+= \w+\);$/m, /^\s*\(paths\.spline\s+= \w+\);$/m];

const straightLinesOnly = {
  name: "straight lines only",
  setup(bundler) {
    bundler.onLoad({ filter: /uPlot\.esm\.js$/ }, ({ path }) => {
      const contents = readFileSync(path, "utf8");
      const missing = UNUSED.find((line) => !line.test(contents));
      if (missing) throw new Error(`${path} has no line like ${missing}: see what this version of uPlot offers instead`);
      return { contents: UNUSED.reduce((text, line) => text.replace(line, ""), contents) };
    });
  },
};

const settings = {
  absWorkingDir: here,
  entryPoints: [
    { in: "src/main.tsx", out: "app" },
    { in: "src/style/app.css", out: "app" },
  ],
  outdir: out,
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome109", "firefox115", "safari16"],
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: !options.watch,
  sourcemap: options.watch ? "inline" : false,
  legalComments: "none",
  // What the SignalR client carries for browsers without fetch and for Node is not loaded.
  define: { XMLHttpRequest: "undefined", process: "undefined", require: "undefined", __webpack_require__: "undefined" },
  // The SignalR client's private members, which nobody names by a string: a kilobyte less to load.
  mangleProps: /^_[a-z]/,
  plugins: [straightLinesOnly],
  logLevel: "warning",
};

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
cpSync(join(here, "public"), out, { recursive: true });

if (options.watch) {
  await (await context(settings)).watch();
} else {
  const { metafile } = await build({ ...settings, metafile: true });
  writeFileSync(join(out, "licenses.txt"), licenses(Object.keys(metafile.inputs)));
  if (options.embed) {
    const files = list(out).map((file) => ({ path: `/${relative(out, file)}`, bytes: readFileSync(file) }));
    writeFileSync(options.embed, cppSource(files));
  }
}

/** The terms of every package that the script carries. */
function licenses(inputs) {
  const packages = new Set(inputs.flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? []));
  return [...packages].sort().map(terms).join("\n");
}

function terms(name) {
  const folder = join(here, "node_modules", name);
  const { version, license, author } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : `By ${author?.name ?? author}. License: ${license}.`;
  return `${name} ${version}\n\n${text}\n`;
}

function list(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? list(join(folder, entry.name)) : [join(folder, entry.name)]))
    .sort();
}
