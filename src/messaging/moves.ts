import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import { Pauses } from "../core/time/pauses.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import type { Broker, OutgoingMessage } from "./broker.ts";

/** How long the confirm of a move may take, in milliseconds. */
const confirmMs = 30_000;
/** The pauses between tries of a move. */
const backoff = Object.freeze({ initialMs: 1_000, maxMs: 30_000, multiplier: 2, jitter: 0.2 });

/** What moves need. */
export interface MovesParts {
  readonly broker: Pick<Broker, "publish">;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called when a move fails for the first time. */
  readonly failing: (message: OutgoingMessage, error: ConnectError) => void;
}

/**
 * Moves messages to other queues of their group: each is confirmed before its original is settled. A move that fails is
 * tried again until it is confirmed, or the subscription stops.
 */
export class Moves {
  readonly #parts: MovesParts;
  #failing = 0;

  constructor(parts: MovesParts) {
    this.#parts = parts;
  }

  /** How many moves wait because the last try has failed. */
  get failing(): number {
    return this.#failing;
  }

  /** Resolves with true when the message is stored, with false if the signal has fired before. Never rejects. */
  async move(message: OutgoingMessage, signal: AbortSignal): Promise<boolean> {
    const { clock, random, failing } = this.#parts;
    const pauses = new Pauses(backoff, random);
    let hasFailed = false;
    try {
      while (!signal.aborted) {
        const error = await this.#try(message, signal);
        if (error === undefined) return true;
        if (signal.aborted) return false;
        if (!hasFailed) {
          hasFailed = true;
          this.#failing++;
          failing(message, error);
        }
        await new WakeablePause(clock).wait(pauses.nextMs(), signal);
      }
      return false;
    } finally {
      if (hasFailed) this.#failing--;
    }
  }

  async #try(message: OutgoingMessage, signal: AbortSignal): Promise<ConnectError | undefined> {
    const controller = new AbortController();
    const stop = (): void => controller.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const cancel = this.#parts.clock.after(confirmMs, () => {
      controller.abort(new ConnectError("the move was not confirmed in time", Code.DeadlineExceeded));
    });
    try {
      const [outcome] = await this.#parts.broker.publish([message], { signal: controller.signal });
      return outcome instanceof ConnectError ? outcome : undefined;
    } finally {
      cancel();
      signal.removeEventListener("abort", stop);
    }
  }
}
