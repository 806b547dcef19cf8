/**
 * `npm run lock`: brings both lockfiles up to date with package.json, installs, and completes what npm leaves out.
 *
 * A registry mirror may lack the packages of platforms it does not serve. npm then drops these optional packages from
 * the lockfile without a word, and `npm ci` refuses that lockfile ("Missing … from lock file"). Their entries are
 * written here from what the package above says of them; without an integrity, which only the registry knows.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const systems = "aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32";
const processors = { aarch64: "arm64", armv7: "arm", arm: "arm" };
const processorNames = "aarch64|arm64|armv7|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|wasm32|x64";

for (const folder of [".", "tools/node"]) {
  const cwd = join(root, folder);
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"];
  execFileSync("npm", ["install", ...flags], { cwd, stdio: "inherit", shell: process.platform === "win32" });
  const file = join(cwd, "package-lock.json");
  const lock = JSON.parse(readFileSync(file, "utf8"));
  const added = completeLock(lock.packages);
  lock.packages = Object.fromEntries(
    Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")),
  );
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${join(folder, "package-lock.json")}: ${added.length} entries completed ${added.join(" ")}`);
}

/** Adds an entry for every optional dependency that has none, and returns their names. */
function completeLock(packages) {
  const missing = Object.values(packages).flatMap(({ dev, optionalDependencies = {} }) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !(`node_modules/${name}` in packages))
      .map(([name, version]) => ({ name, entry: entryOf(name, version, dev) })),
  );
  for (const { name, entry } of missing) {
    if (!/^\d+\.\d+\.\d+/.test(entry.version))
      throw new Error(`${name}@${entry.version} is no exact version`);
    packages[`node_modules/${name}`] = entry;
  }
  return missing.map(({ name }) => name);
}

/** The lockfile's entry of a platform package, in npm's order; its name says what machines it is for. */
function entryOf(name, version, dev) {
  const os = new RegExp(`(?<![a-z])(${systems})(?![a-z])`).exec(name)?.[1];
  const cpu = new RegExp(`(?<![a-z])(${processorNames})(?![a-z0-9])`).exec(name)?.[1];
  if (cpu === undefined || (os === undefined && cpu !== "wasm32")) throw new Error(`no platform in ${name}`);
  const libc = os === "linux" ? /gnu|musl/.exec(name)?.[0] : undefined;
  return {
    version,
    cpu: [processors[cpu] ?? cpu],
    ...(dev && { dev }),
    ...(libc !== undefined && { libc: [libc === "gnu" ? "glibc" : "musl"] }),
    optional: true,
    ...(os !== undefined && { os: [os] }),
  };
}
