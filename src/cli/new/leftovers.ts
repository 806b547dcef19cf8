import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";

/** What a process does that outlives this one: when its input ends, it ends processes and removes a folder. */
const watching = `
  const { rmSync } = require("node:fs");
  const pids = [];
  process.stdin.on("data", (text) => pids.push(...String(text).trim().split(/\\s+/).map(Number)));
  process.stdin.on("end", () => {
    const remove = (left) => {
      for (const pid of pids) try { process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL"); } catch {}
      rmSync(process.argv[1], { recursive: true, force: true, maxRetries: 5 });
      if (left > 0) setTimeout(remove, 50, left - 1);
    };
    remove(pids.length === 0 ? 0 : 3);
  });`;

/**
 * A folder that does not outlive this process, however that ends, unless it was renamed. It is removed at the exit; if
 * the process is killed, a second one does it.
 */
export class Leftovers implements Disposable {
  readonly #folder: string;
  readonly #watcher: ChildProcess;
  readonly #remove = (): void => rmSync(this.#folder, { recursive: true, force: true });

  constructor(folder: string) {
    this.#folder = folder;
    process.on("exit", this.#remove);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
    this.#watcher = spawn(process.execPath, ["-e", watching, folder], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#watcher.stdin?.on("error", () => {}); // Without it nothing is lost but its help.
    this.#watcher.on("error", () => {});
    this.#watcher.unref();
  }

  /** A child, leader of its process group, that must not go on in the folder. */
  watch({ pid }: ChildProcess): void {
    if (pid !== undefined) this.#watcher.stdin?.write(`${pid}\n`);
  }

  [Symbol.dispose](): void {
    this.#remove();
    process.off("exit", this.#remove);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, end);
    this.#watcher.stdin?.end();
  }
}

/** Ends this process as a signal would. */
function end(signal: NodeJS.Signals): void {
  process.exit(signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 129);
}
