import { spawn, type ChildProcess } from "node:child_process";
import { basename, join, resolve } from "node:path";
import type { Answer, Question, Usage } from "./contestants/take-part.ts";
import type { Latencies } from "./latencies.ts";
import type { Rig } from "./rig.ts";

/** A program with its arguments. */
export interface Program {
  /** Its name in `bench/contestants/`, or its path. */
  readonly file: string;
  readonly args?: readonly string[];
  /** Whether it has Node inside. Default: this Node runs it. */
  readonly isExecutable?: boolean;
}

/** Timeout for a contestant to start, or to answer after the end of its work, in milliseconds. */
const patienceMs = 30_000;

/** One side of a comparison: a process on a core of its own. */
export class Contestant {
  /** The file and its arguments. */
  readonly name: string;
  /** The port it listens on; 0 for none. */
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, PromiseWithResolvers<Answer>>();
  #next = 1;

  private constructor(name: string, child: ChildProcess, port: number) {
    this.name = name;
    this.port = port;
    this.#child = child;
    child.on("message", (message) => {
      const answer = message as Answer; // All that contestants send after their start.
      this.#asked.get(answer.id)?.resolve(answer);
      this.#asked.delete(answer.id);
    });
    child.on("exit", () => {
      for (const { reject } of this.#asked.values()) reject(new Error(`${name} has ended`));
      this.#asked.clear();
    });
  }

  static async start(
    { file, args = [], isExecutable = false }: Program,
    { cores, profiles }: Pick<Rig, "cores" | "profiles">,
  ): Promise<Contestant> {
    const path = resolve(import.meta.dirname, "contestants", file);
    const profiling =
      profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(profiles, basename(file))}`];
    const node = isExecutable ? [] : [process.execPath, "--expose-gc", ...profiling];
    const words = [...cores.pinned, ...node, path, ...args];
    const [command = "", ...rest] = words;
    const child = spawn(command, rest, {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: { ...process.env, NODE_ENV: "production" },
    });
    const port = await inTime(
      `the start of ${file}`,
      patienceMs,
      new Promise<number>((resolve, reject) => {
        child.once("message", (ready) => resolve((ready as { port: number }).port)); // The first message of `takePart`.
        child.once("error", reject);
        child.once("exit", (code) => reject(new Error(`${file} ended with ${code} before it was ready`)));
      }),
    );
    return new Contestant([basename(file), ...args].join(" "), child, port);
  }

  /** CPU time and memory so far. */
  usage(): Promise<Usage> {
    return this.#ask({ ask: "usage" });
  }

  /** Bytes of live objects, after garbage collection. */
  async liveBytes(): Promise<number> {
    return (await this.#ask({ ask: "live" })).heapBytes;
  }

  /** Makes the contestant generate its own load; resolves with the number of calls. */
  async work(ms: number): Promise<number> {
    return (await this.#ask({ ask: "work", ms })).calls;
  }

  /** Makes the contestant call one by one; resolves with the latency of its calls. */
  async latencies(ms: number): Promise<Latencies> {
    return (await this.#ask({ ask: "latencies", ms })).latencies;
  }

  /** Makes the contestant publish so many messages within one turn of its event loop. */
  async publish(count: number): Promise<void> {
    await this.#ask({ ask: "publish", count });
  }

  /** A result of the contestant's work as JSON, to compare it with that of another contestant. */
  async sample(): Promise<unknown> {
    return JSON.parse((await this.#ask({ ask: "sample" })).sample);
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.disconnect();
    await inTime(`the end of ${this.name}`, patienceMs, exited);
  }

  async #ask(question: Question): Promise<Answer> {
    const id = this.#next++;
    const asked = Promise.withResolvers<Answer>();
    this.#asked.set(id, asked);
    this.#child.send({ ...question, id });
    return inTime(`an answer of ${this.name}`, patienceMs + (question.ms ?? 0), asked.promise);
  }
}

async function inTime<T>(what: string, ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
