import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A lock older than this belongs to nobody any more, in milliseconds. */
const lockLifeMs = 15 * 60_000;

/** A lock file that is still empty after this was left so by a crash, in milliseconds. */
const emptyLockLifeMs = 10_000;

/**
 * Installs the packages of those folders (relative to `root`) whose `node_modules` differ from their lockfile; does
 * nothing, and takes a few milliseconds, when all are current.
 *
 * Of several processes that start at once one installs and the others wait. npm's output is shown only when it fails:
 * then the error thrown holds it.
 */
export async function installMissing(root, folders) {
  const stale = () => folders.filter((folder) => !isCurrent(join(root, folder)));
  if (stale().length === 0) return;
  const release = await takeLock(join(root, ".cache/install.lock"));
  // Whatever ends this process gives the lock back; the npm below ends of a signal to the group, or is ended here.
  const stop = new AbortController();
  const onSignal = (signal) => {
    stop.abort();
    process.exit(128 + constants.signals[signal]);
  };
  process.once("exit", release).once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    const missing = stale();
    if (missing.length === 0) return;
    console.error("Installing packages, once, as the lockfile says …");
    await Promise.all(missing.map((folder) => installFolder(join(root, folder), stop.signal)));
  } finally {
    release();
    process.off("exit", release).off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/**
 * Whether `node_modules` holds what the lockfile asks for, read from the list that npm itself leaves there at the very
 * end of an install. Packages that are optional may be missing; those for another platform may not be there.
 */
export function isCurrent(folder) {
  const locked = readPackages(join(folder, "package-lock.json"));
  const installed = readPackages(join(folder, "node_modules/.package-lock.json"));
  if (locked === undefined) throw new Error(`${join(folder, "package-lock.json")} is missing or broken.`);
  // Where no package fits, npm leaves nothing behind.
  if (installed === undefined)
    return !Object.entries(locked).some(
      ([name, { os, cpu }]) => name !== "" && isForThisPlatform({ os, cpu }),
    );
  if (Object.keys(installed).some((name) => !(name in locked))) return false;
  return Object.entries(locked).every(([name, wanted]) => {
    if (name === "") return true;
    const present = installed[name];
    if (present === undefined) return wanted.optional === true;
    return (
      present.version === wanted.version &&
      present.integrity === wanted.integrity &&
      isForThisPlatform(wanted)
    );
  });
}

function isForThisPlatform({ os, cpu }) {
  return allows(os, process.platform) && allows(cpu, process.arch);
}

function allows(list, name) {
  if (list === undefined) return true;
  const names = [list].flat();
  if (names.includes(`!${name}`)) return false;
  const positive = names.filter((entry) => !entry.startsWith("!"));
  return positive.length === 0 || positive.includes(name);
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** `npm ci` in that folder, whatever options the npm above us was called with. */
function installFolder(folder, signal) {
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-engine-strict"];
  args.push("--include=dev", "--include=optional", "--no-dry-run", "--no-global", "--prefix", folder);
  // npm names itself to its scripts by the path of its JavaScript; elsewhere it is found in PATH.
  const npm = process.env.npm_execpath;
  const isNpm = npm !== undefined && /npm-cli\.[cm]?js$/.test(npm);
  const options = { cwd: folder, signal, stdio: ["ignore", "pipe", "pipe"] };
  const child = isNpm
    ? spawn(process.execPath, [npm, ...args], options)
    : spawn("npm", args, { ...options, shell: process.platform === "win32" });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new Error(`npm could not be started: ${error.message}`)));
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`npm ci failed in ${folder}:\n${output}`));
    });
  });
}

/** Waits until the lock file is ours and returns the function that gives it back. */
async function takeLock(file) {
  mkdirSync(dirname(file), { recursive: true });
  for (let told = false; ;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isAbandoned(file)) rmSync(file, { force: true });
    else if (!told) {
      console.error("Waiting for another process that installs packages …");
      told = true;
    }
    // Also after removing a dead lock: whoever saw the same dead one removes it before any of us makes a new one.
    await sleep(200);
  }
}

function isAbandoned(file) {
  try {
    const ageMs = Date.now() - statSync(file).mtimeMs;
    const owner = Number(readFileSync(file, "utf8"));
    if (owner === 0) return ageMs > emptyLockLifeMs;
    return ageMs > lockLifeMs || !isAlive(owner);
  } catch {
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
