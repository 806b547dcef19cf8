import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { DispatchProgramOptions } from "../behaviour/dispatch/fixtures/dispatch-program.ts";

const program = join(import.meta.dirname, "../behaviour/dispatch/fixtures/dispatch-program.ts");

/** A dispatcher over RabbitMQ in a process of its own. */
export class DispatchProgram implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when it dispatches. @param ca a file of certificates that it trusts besides those of Node */
  static async start(options: DispatchProgramOptions, ca: string): Promise<DispatchProgram> {
    const child = spawn(process.execPath, [program, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NODE_EXTRA_CA_CERTS: ca },
    });
    const ended = once(child, "exit").then(() => {
      throw new Error("the dispatcher has ended");
    });
    await Promise.race([once(child.stdout, "data"), ended]);
    ended.catch(() => {}); // It ends some time.
    return new DispatchProgram(child);
  }

  /** Ends it, by default at once. Resolves with its code. */
  async end(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<number | null> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return exitCode;
    const ended = once(this.#child, "exit");
    this.#child.kill(signal);
    await ended;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
