// Installs the npm packages of package-lock.json, exactly those, unless they are there already. No package's own script runs.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const lock = join(here, "package-lock.json");
const stamp = join(here, "node_modules", ".installed-from");

if (!existsSync(stamp) || !readFileSync(stamp).equals(readFileSync(lock))) {
  const npm = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: here,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (npm.status !== 0) {
    console.error(`npm ci failed in ${here}${npm.error ? `: ${npm.error.message}` : ""}. Are npm and the network there?`);
    process.exit(1);
  }
  copyFileSync(lock, stamp);
}
