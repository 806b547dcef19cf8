import type { EndpointCheck } from "../cluster/health.ts";
import type { StreamSources } from "../http2/stream-source.ts";
import type { CheckParts } from "./check-parts.ts";

/** What an endpoint answers: it says how it is, or gives no good answer. */
export type Answer = "serving" | "not_serving" | "failed";

/** Asks an endpoint. @param signal fires when its time is over; then the answer does not count */
export type Question = (connection: StreamSources, signal: AbortSignal) => Promise<Answer>;

/** The part of the interval by which a pause may differ by chance. */
const jitter = 0.2;

/** The health of an endpoint by questions, one after the other, while it is connected. */
export class PolledCheck implements EndpointCheck {
  readonly #ask: Question;
  readonly #parts: CheckParts;
  #connection: StreamSources | undefined;
  /** Failures since the last success. */
  #inRow = 0;
  /** The question under way. */
  #question: AbortController | undefined;
  #cancel: (() => void) | undefined;

  constructor(ask: Question, parts: CheckParts) {
    this.#ask = ask;
    this.#parts = parts;
  }

  follow(connection: StreamSources | undefined): void {
    const wasConnected = this.#connection !== undefined;
    this.#connection = connection;
    if (connection === undefined) this.#stop();
    else if (!wasConnected) this.#check(connection);
  }

  close(): void {
    this.#connection = undefined;
    this.#stop();
  }

  #stop(): void {
    this.#cancel?.();
    this.#question?.abort();
    this.#question = undefined;
  }

  #check(connection: StreamSources): void {
    const question = (this.#question = new AbortController());
    const settle = (answer: Answer): void => {
      if (this.#question !== question) return;
      this.#stop(); // Ends the limit of time, and what still runs of the question.
      this.#take(answer);
    };
    const { clock, options } = this.#parts;
    this.#cancel = clock.after(options.timeoutMs, () => settle("failed"), false);
    this.#ask(connection, question.signal).then(settle, () => settle("failed"));
  }

  #take(answer: Answer): void {
    const { clock, options, random, report } = this.#parts;
    this.#inRow = answer === "failed" ? this.#inRow + 1 : 0;
    const pauseMs = options.intervalMs * (1 - jitter + 2 * jitter * random());
    const next = (): void => {
      if (this.#connection !== undefined) this.#check(this.#connection);
    };
    this.#cancel = clock.after(pauseMs, next, false);
    if (answer !== "failed") report(answer);
    else if (this.#inRow >= options.failures) report("not_serving");
  }
}
