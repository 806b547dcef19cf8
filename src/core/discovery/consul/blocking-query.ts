import { Code, ConnectError } from "../../errors/errors.ts";
import type { Clock } from "../../time/clock.ts";
import type { Pauses } from "../../time/pauses.ts";
import { WakeablePause } from "../../time/wakeable-pause.ts";
import type { ConsulAgent } from "./consul-agent.ts";

/** How long Consul may hold a query until something changes. */
const waitSeconds = 55;
/** Consul adds up to a sixteenth of the wait by chance; then a query is given up, in milliseconds. */
const blockingLimitMs = waitSeconds * 1_000 * (17 / 16) + 5_000;
/** The same of a query that does not wait. */
const limitMs = 10_000;
/** Least time from one query to the next, in milliseconds: fewer than two in a second, whatever Consul answers. */
const leastMs = 600;

/** Takes the answers of a query. */
export interface QueryListener<T> {
  update(value: T): void;
  /** What the last `update` had is still so. */
  confirmed?(): void;
  failed(error: ConnectError): void;
}

/** What is asked. */
export interface ConsulQuery<T> {
  /** Path and query string, to which index and wait are added. */
  readonly path: string;
  /** The ACL rules that it needs, for errors. */
  readonly rules: string;
  /** Reads an answer. @throws Error if it is none */
  readonly read: (text: string) => T;
}

/** Follows what Consul answers: one query at a time, each with the index of the answer before it. */
export class BlockingQuery<T> {
  readonly #agent: ConsulAgent;
  readonly #query: ConsulQuery<T>;
  readonly #clock: Clock;
  readonly #pauses: Pauses;
  /** That of the last answer; 0 asks for the instances of now. */
  #index = 0;
  /** Until the next query. */
  readonly #pause: WakeablePause;
  #hasFailed = false;

  constructor(agent: ConsulAgent, query: ConsulQuery<T>, clock: Clock, pauses: Pauses) {
    this.#agent = agent;
    this.#query = query;
    this.#clock = clock;
    this.#pauses = pauses;
    this.#pause = new WakeablePause(clock);
  }

  /** Ends the pause after a failure. */
  refresh(): void {
    if (this.#hasFailed) this.#pause.end();
  }

  /** Asks until the signal fires. Never rejects. */
  async run(listener: QueryListener<T>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedMs = this.#clock.nowMs();
      let pauseMs = 0;
      try {
        await this.#ask(listener, signal);
        this.#pauses.reset();
        this.#hasFailed = false;
      } catch (error) {
        if (signal.aborted) return;
        // An agent that restarts begins to count anew.
        this.#index = 0;
        this.#hasFailed = true;
        pauseMs = this.#pauses.nextMs();
        listener.failed(this.#errorOf(error));
      }
      const spentMs = this.#clock.nowMs() - startedMs;
      await this.#pause.wait(Math.max(pauseMs, leastMs - spentMs), signal);
    }
  }

  async #ask(listener: QueryListener<T>, signal: AbortSignal): Promise<void> {
    const { path, rules, read } = this.#query;
    const blocks = this.#index > 0;
    const wait = blocks ? `&index=${this.#index}&wait=${waitSeconds}s` : "";
    const timeoutMs = blocks ? blockingLimitMs : limitMs;
    const reply = await this.#agent.send({ method: "GET", path: path + wait, timeoutMs, signal });
    if (signal.aborted) return;
    if (reply.status === 403) {
      throw new ConnectError(`consul: the token lacks the ACL rules ${rules}`, Code.Unavailable);
    }
    if (reply.status !== 200) throw new Error(`HTTP ${reply.status}: ${reply.text.slice(0, 200)}`);
    const value = read(reply.text);
    const index = indexOf(reply.header("x-consul-index"));
    const isUnchanged = blocks && index === this.#index;
    this.#index = index < this.#index ? 0 : index;
    if (isUnchanged) listener.confirmed?.();
    else listener.update(value);
  }

  #errorOf(error: unknown): ConnectError {
    if (error instanceof ConnectError) return error;
    return new ConnectError(
      "consul: the agent does not answer",
      Code.Unavailable,
      undefined,
      undefined,
      error,
    );
  }
}

/** The index of an answer; 0 where it has none that can be used. */
function indexOf(header: string | undefined): number {
  const index = /^\d{1,15}$/.test(header ?? "") ? Number(header) : 0;
  return index > 0 ? index : 0;
}
