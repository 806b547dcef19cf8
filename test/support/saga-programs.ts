import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { type EchoRequest, EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import type { HandlerContext } from "../../src/core/call/context.ts";
import type { PartialService } from "../../src/core/call/service.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";

const program = join(import.meta.dirname, "../behaviour/saga/fixtures/saga-program.ts");

/** A program with sagas, in a process of its own. */
export class SagaProgram {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: string[] = [];
  #wake = (): void => {};

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines;
    lines.on("line", (line) => {
      this.#answers.push(line);
      this.#wake();
    });
  }

  /** Resolves when it runs. @param code which of the program's two */
  static async start(
    databaseUrl: string,
    port: number,
    leaseMs: number,
    code: "old" | "new" = "old",
  ): Promise<SagaProgram> {
    const args = [program, databaseUrl, String(port), String(leaseMs), code];
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    const started = new SagaProgram(child, createInterface(child.stdout));
    await started.#answer("ready");
    return started;
  }

  /** Tells it something. @throws Error with its answer if that is no `ok` */
  async tell(command: string): Promise<string> {
    this.#child.stdin?.write(`${command}\n`);
    return (await this.#answer("ok")).slice(3);
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
    this.#lines.close();
  }

  /** Stops it so that it does nothing any more, and keeps its connections. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  /** The next line, which begins with a word. */
  async #answer(word: string): Promise<string> {
    while (this.#answers.length === 0) {
      if (this.#child.exitCode !== null) throw new Error(`the program has ended: ${this.#child.exitCode}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#child.once("exit", () => resolve());
      });
    }
    const line = this.#answers.shift() ?? "";
    if (!line.startsWith(word)) throw new Error(line);
    return line;
  }
}

/** What a service has got of one key. */
interface Got {
  calls: number;
  ended: number;
  aborted: number;
}

/** The service that steps call: it counts by key, and holds calls back. */
export class CountingService implements PartialService<typeof EchoService> {
  readonly descriptor = EchoService;
  readonly got = new Map<string, Got>();
  readonly #held = new Map<string, PromiseWithResolvers<void>>();
  readonly #arrived = new Map<string, PromiseWithResolvers<void>>();

  /** From now on calls with this key wait for `release`. Resolves when there is one. */
  hold(key: string): Promise<void> {
    this.#held.set(key, Promise.withResolvers());
    const arrived = Promise.withResolvers<void>();
    this.#arrived.set(key, arrived);
    return arrived.promise;
  }

  release(key: string): void {
    this.#held.get(key)?.resolve();
    this.#held.delete(key);
  }

  of(key: string): Got {
    const got = this.got.get(key) ?? { calls: 0, ended: 0, aborted: 0 };
    this.got.set(key, got);
    return got;
  }

  /** Calls of the keys of a saga that have ended well. */
  ended(saga: string): Record<string, number> {
    const ofSaga = [...this.got].filter(([key, { ended }]) => key.startsWith(`${saga}/`) && ended > 0);
    return Object.fromEntries(ofSaga.map(([key, { ended }]) => [key.slice(saga.length + 1), ended]));
  }

  async echo({ text }: EchoRequest, { requestHeader, signal }: HandlerContext): Promise<{ text: string }> {
    const key = requestHeader.get("idempotency-key") ?? "";
    const got = this.of(key);
    got.calls++;
    this.#arrived.get(key)?.resolve();
    const held = this.#held.get(key);
    if (held !== undefined) {
      const aborted = Promise.withResolvers<never>();
      aborted.promise.catch(() => {});
      signal.addEventListener("abort", () => {
        got.aborted++;
        aborted.reject(signal.reason);
      });
      await Promise.race([held.promise, aborted.promise]);
    }
    if (text === "refuse") throw new ConnectError("refused", Code.FailedPrecondition);
    got.ended++;
    return { text };
  }
}
