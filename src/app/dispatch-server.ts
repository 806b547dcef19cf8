import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import {
  Lifecycle,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../core/lifecycle/lifecycle.ts";
import type { Logger } from "../core/telemetry/logger.ts";
import { systemClock } from "../core/time/clock.ts";
import { type Backoff, Pauses } from "../core/time/pauses.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import type { EventDispatcher } from "../dispatch/dispatcher.ts";
import type { AppServer } from "./app-server.ts";

/** Pauses between attempts to reach the store. */
const backoff: Backoff = { initialMs: 200, maxMs: 5_000, multiplier: 2, jitter: 0.2 };

/** A dispatcher in an app: where its store is away the app starts, and events are dispatched as soon as it is there. */
export class DispatchServer implements AppServer {
  readonly name = "DISPATCH";
  readonly #make: () => EventDispatcher;
  readonly #logger: Logger;
  readonly #lifecycle = new Lifecycle();
  readonly #stopping = new AbortController();
  #current: EventDispatcher;
  /** Why it does not dispatch yet. */
  #away: ConnectError | undefined;
  #stopped: Promise<StopReport> | undefined;

  /** @param make makes a dispatcher for each attempt: one whose start has failed is not started again */
  constructor(make: () => EventDispatcher, logger: Logger) {
    this.#make = make;
    this.#logger = logger;
    this.#current = make();
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /** @throws SetupError naming a subscription that cannot be used */
  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    try {
      await this.#attempt();
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      throw error;
    }
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#lifecycle.enter("listen");
    if (this.#away === undefined) return this.#lifecycle.enter("ready");
    this.#logger.warn({ err: this.#away }, "the store of the dispatcher cannot be reached: it waits");
    void this.#startLater();
  }

  /** @throws ConnectError UNAVAILABLE with what is in the way */
  async check(): Promise<void> {
    if (this.state === "ready") return this.#current.check();
    throw this.#away ?? new ConnectError(`${this.name} is ${this.state}`, Code.Unavailable);
  }

  describe(): string[] {
    return this.#current.describe();
  }

  drain(): void {
    this.#current.drain();
  }

  gracefulStop(options: StopOptions = {}): Promise<StopReport> {
    return (this.#stopped ??= this.#stop(options));
  }

  async #stop(options: StopOptions): Promise<StopReport> {
    this.#stopping.abort();
    const { state } = this;
    if (state === "boot" || state === "listen" || state === "ready") this.#lifecycle.enter("graceful");
    const report = await this.#current.gracefulStop(options);
    this.#lifecycle.enter("stop");
    return report;
  }

  /** Starts the dispatcher at hand; where its store is away it resolves, and another one is at hand. */
  async #attempt(): Promise<void> {
    try {
      await this.#current.start();
      this.#away = undefined;
    } catch (reason) {
      const error = toCallError(reason);
      if (error.code !== Code.Unavailable) throw reason;
      this.#away = error;
      if (!this.#stopping.signal.aborted) this.#current = this.#make();
    }
  }

  async #startLater(): Promise<void> {
    const { signal } = this.#stopping;
    const pauses = new Pauses(backoff, Math.random);
    const pause = new WakeablePause(systemClock);
    try {
      while (this.#away !== undefined && !signal.aborted) {
        await pause.wait(pauses.nextMs(), signal);
        if (!signal.aborted) await this.#attempt();
      }
      if (this.state === "listen") this.#lifecycle.enter("ready");
    } catch (error) {
      this.#logger.error({ err: error }, "the dispatcher cannot start");
      if (this.state === "listen") this.#lifecycle.enter("error");
    }
  }
}
