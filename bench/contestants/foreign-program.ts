import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import type { Usage } from "./take-part.ts";

/**
 * A program of another project, which does not implement the protocol of contestants. When it ends, this process ends
 * too, and vice versa.
 */
export class ForeignProgram {
  readonly child: ChildProcess;
  readonly #pid: number;

  /**
   * Its standard output can be read from `child`.
   *
   * @param input `pipe` for a program whose standard input is written by `child`. Default: it has none
   */
  constructor(command: string, args: readonly string[], input: "ignore" | "pipe" = "ignore") {
    this.child = spawn(command, args, {
      stdio: [input, "pipe", "inherit"],
      env: { ...process.env, GOMAXPROCS: "1" }, // For the runtime of Go.
    });
    if (this.child.pid === undefined) throw new Error(`${command} cannot be started`);
    this.#pid = this.child.pid;
    this.child.on("exit", (code, signal) => {
      console.error(`${command} ended with ${code ?? signal}`);
      process.exit(1);
    });
    process.on("disconnect", () => process.exit());
    process.on("exit", () => this.child.kill("SIGKILL"));
  }

  /**
   * CPU time of all its threads and resident memory, as reported by Linux.
   *
   * `/proc/PID/stat` has a resolution of 10 ms; the scheduler's statistics are exact, but without threads that have
   * ended, which these servers do not have.
   */
  usage(): Usage {
    const threads = readdirSync(`/proc/${this.#pid}/task`);
    const nanoseconds = threads.reduce((sum, thread) => {
      const books = readFileSync(`/proc/${this.#pid}/task/${thread}/schedstat`, "utf8");
      return sum + Number(books.split(" ")[0]);
    }, 0);
    const status = readFileSync(`/proc/${this.#pid}/status`, "utf8");
    const kibibytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
    return { cpuUs: nanoseconds / 1000, rssBytes: kibibytes * 1024 };
  }
}
