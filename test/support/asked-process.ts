import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** What a process of a test is asked, and answers. */
interface Asked {
  readonly number: number;
  readonly question: string;
  readonly argument: unknown;
}

interface Answered {
  readonly number: number;
  readonly answer: unknown;
  readonly error?: string;
}

/** What a process answers, by questions. */
export type Answers = Readonly<Record<string, (argument: never) => unknown>>;

/** Answers the test that has started this process, which ends with it. */
export function answerTest(answers: Answers): void {
  process.on("disconnect", () => process.exit());
  const answer = async ({ number, question, argument }: Asked): Promise<void> => {
    try {
      const found = await answers[question]?.(argument as never); // The test knows what it asks.
      process.send?.({ number, answer: found } satisfies Answered);
    } catch (error) {
      process.send?.({ number, answer: undefined, error: String(error) } satisfies Answered);
    }
  };
  process.on("message", (asked: Asked) => void answer(asked));
  process.send?.({ number: 0, answer: undefined } satisfies Answered);
}

/** A fixture as a process of its own, which answers questions by `answerTest`. Killed, if it still runs, when it is disposed of. */
export class AskedProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 1;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#closed = once(child, "close");
    child.on("message", ({ number, answer, error }: Answered) => {
      const asked = this.#asked.get(number);
      this.#asked.delete(number);
      if (error === undefined) asked?.resolve(answer);
      else asked?.reject(new Error(error));
    });
    child.on("close", () => {
      for (const { reject } of this.#asked.values()) reject(new Error("the process has ended"));
    });
  }

  /** @param file path below `test/`. @param args as JSON */
  static async start(
    file: string,
    args: readonly unknown[] = [],
    execArgv: readonly string[] = [],
  ): Promise<AskedProcess> {
    const path = join(import.meta.dirname, "..", file);
    const words = args.map((one) => JSON.stringify(one));
    const child = fork(path, words, { execArgv: [...execArgv], serialization: "advanced" });
    const started = new AskedProcess(child);
    await Promise.race([once(child, "message"), started.#closed]);
    if (child.exitCode !== null) throw new Error(`${file} has ended with ${child.exitCode}`);
    return started;
  }

  /** Asks it; the answer is as the fixture gives it. */
  ask<T>(question: string, argument?: unknown): Promise<T> {
    const number = this.#next++;
    const asked = Promise.withResolvers<unknown>();
    this.#asked.set(number, asked);
    this.#child.send({ number, question, argument } satisfies Asked);
    return asked.promise as Promise<T>; // As the fixture says.
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when it has ended. */
  get ended(): Promise<unknown> {
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }
}
