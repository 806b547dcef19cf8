import { spawn } from "node:child_process";
import { delimiter, dirname } from "node:path";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"];

/** How often we look whether npm still lives, in milliseconds. */
const watchEveryMs = 200;

/**
 * Runs a command with our standard streams, its own folder and `path` first in its PATH, and resolves with how it
 * ended: `{ code, signal }`, one of them null.
 *
 * SIGINT, SIGTERM and SIGHUP that reach this process go on to the command. `ended`, where given, is asked several times
 * a second; when it says yes the command gets one SIGTERM.
 */
export async function runChild(command, args, { path = [], ended } = {}) {
  process.env.PATH = [dirname(command), ...path, process.env.PATH].join(delimiter);
  const child = spawn(command, args, { stdio: "inherit" });
  let told = false;
  const forward = (signal) => {
    told = true;
    // A terminal sends Ctrl-C to the whole group: the command has it already, and a second one would mean "at once".
    if (signal === "SIGINT" && process.stdin.isTTY) return;
    child.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  const watch = setInterval(() => {
    if (ended?.() !== true) return;
    clearInterval(watch);
    // Whoever ended may have had the same signal as we; a second one would mean "at once" here as well.
    if (!told) child.kill("SIGTERM");
  }, watchEveryMs);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
  } finally {
    clearInterval(watch);
    for (const signal of signals) process.off(signal, forward);
  }
}

/** Ends this process as the command ended, by signal too, so that whoever waits for us sees the truth. */
export function endLike({ code, signal }) {
  if (signal === null) process.exit(code ?? 1);
  if (process.platform === "win32") process.exit(1);
  process.kill(process.pid, signal);
}
