import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/**
 * Looks once who started us, and returns a function that tells whether the npm above us has ended since; undefined when
 * no npm (or pnpm, yarn) runs us as a script. npm dies of a signal without telling its script, so somebody must look.
 *
 * npm is our parent, or our grandparent where its shell did not replace itself by us. An orphan's parent changes at
 * once, even while the dead parent is still a zombie, so parents are compared rather than processes asked for.
 */
export function watchedNpm() {
  if (process.env.npm_lifecycle_event === undefined || process.platform === "win32") return undefined;
  const parent = process.ppid;
  const shell = describeProcess(parent);
  const behindShell = shell !== undefined && /^-?[a-z]*sh$/.test(shell.name);
  return () => process.ppid !== parent || (behindShell && describeProcess(parent)?.parent !== shell.parent);
}

/** Name and parent of a process, or undefined when it has ended. */
function describeProcess(pid) {
  if (process.platform === "linux") return readStat(pid);
  const { stdout } = spawnSync("ps", ["-o", "ppid=,comm=", "-p", String(pid)], { encoding: "utf8" });
  const match = /^\s*(\d+)\s+(.+?)\s*$/.exec(stdout ?? "");
  return match === null ? undefined : { name: basename(match[2]), parent: Number(match[1]) };
}

function readStat(pid) {
  try {
    // "PID (NAME) STATE PPID …", where the name may hold spaces and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const end = stat.lastIndexOf(")");
    return {
      name: stat.slice(stat.indexOf("(") + 1, end),
      parent: Number(stat.slice(end + 4).split(" ")[0]),
    };
  } catch {
    return undefined;
  }
}
