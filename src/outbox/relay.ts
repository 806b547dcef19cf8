import { Code, toCallError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../core/lifecycle/lifecycle.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { type Backoff, Pauses } from "../core/time/pauses.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import type { OutboxRow } from "./outbox-row.ts";
import { publishRows } from "./relay-batch.ts";
import { RelayCounts } from "./relay-counts.ts";
import { reportDead, warn } from "./relay-log.ts";
import { type RelayInit, type RelayOptions, toRelayOptions } from "./relay-options.ts";
import { Refusals } from "./refusals.ts";
import type { Leadership, MetricsPage } from "./store.ts";
import { untilAborted } from "./until-aborted.ts";

/** With what else a relay is made, by tests. */
export interface RelayParts {
  /** Default: that of the process. */
  readonly clock?: Clock;
  /** Returns numbers from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** The most bytes of bodies in a batch. */
const batchBytes = 16 * 1024 ** 2;
/** How often one that does not lead asks for the lock, in milliseconds. */
const standbyMs = 1_000;
/** How long a stop waits for the store behind the grace period, in milliseconds. */
const leaveMs = 1_000;
/** How long `start` waits for a store that does not answer, in milliseconds. */
const startMs = 5_000;
/** Pauses between attempts to reach the store. */
const storeBackoff: Backoff = { initialMs: 200, maxMs: 5_000, multiplier: 2, jitter: 0.2 };

/**
 * Publishes what the transactions of a store have committed, the oldest rows first, and deletes what the broker has
 * confirmed. Of all relays of a store one works; the others stand by.
 *
 * ```
 *            answered                 lock
 *   away ──────────────▶ standing by ──────▶ leading
 *    ▲                        │                 │
 *    └────────────────────────┴── lost ─────────┘
 * ```
 */
export class OutboxRelay implements ManagedServer {
  readonly name = "OUTBOX";
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #lifecycle = new Lifecycle();
  readonly #counts: RelayCounts;
  /** Fires when no further batch is to begin. */
  readonly #stopping = new AbortController();
  /** Fires when the batch under way is to end. */
  readonly #cut = new AbortController();
  /** Fires when a store that does not answer is waited for no more. */
  readonly #left = new AbortController();
  readonly #rows: WakeablePause;
  readonly #lock: WakeablePause;
  #mayHaveRows = false;
  /** Rows that are confirmed, and perhaps not deleted yet. */
  #confirmed: readonly bigint[] = [];
  #underWay: readonly OutboxRow[] = [];
  #unsubscribe = (): void => {};
  #running: Promise<void> = Promise.resolve();
  #stopped: Promise<StopReport> | undefined;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: RelayInit, { clock = systemClock, random = Math.random }: RelayParts = {}) {
    this.#options = toRelayOptions(options);
    this.#clock = clock;
    this.#random = random;
    this.#counts = new RelayCounts(() => clock.nowMs());
    this.#rows = new WakeablePause(clock);
    this.#lock = new WakeablePause(clock);
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state. @returns a function that unsubscribes it */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /**
   * Begins. With a store that is away it resolves too: the state stays `listen` until the store has answered.
   *
   * @throws SetupError where the store has no tables
   */
  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    this.#unsubscribe = this.#options.store.onRows(() => this.wake());
    const first = Promise.withResolvers<void>();
    this.#running = this.#run(first.resolve, first.reject);
    const cancel = this.#clock.after(startMs, first.resolve, false);
    try {
      await first.promise;
    } catch (reason) {
      this.#unsubscribe();
      this.#lifecycle.enter("error");
      throw reason;
    } finally {
      cancel();
    }
    if (this.#lifecycle.state === "boot") this.#lifecycle.enter("listen");
  }

  /** Looks for rows at once: for commits that the store does not know of, such as those of `Store.enlist`. */
  wake(): void {
    this.#mayHaveRows = true;
    this.#rows.end();
  }

  /** Adds the relay's metrics to a page. @returns a function that takes them from it */
  watch(metrics: MetricsPage): () => void {
    return this.#counts.watch(metrics);
  }

  /** Does nothing: no calls come to a relay. */
  drain(): void {}

  /**
   * Begins no further batch, and waits until the broker has confirmed the one under way; what is not confirmed by the end
   * of the grace period stays in the outbox. Then another relay may lead. Idempotent.
   */
  gracefulStop(options: StopOptions = {}): Promise<StopReport> {
    return (this.#stopped ??= this.#stop(options.graceMs ?? defaultGraceMs));
  }

  async #stop(graceMs: number): Promise<StopReport> {
    const { state } = this.#lifecycle;
    if (state === "boot" || state === "listen" || state === "ready") this.#lifecycle.enter("graceful");
    this.#unsubscribe();
    const begun = this.#underWay;
    const timers = [
      this.#clock.after(graceMs, () => this.#cut.abort()),
      this.#clock.after(graceMs + leaveMs, () => this.#left.abort()),
    ];
    this.#stopping.abort();
    await this.#running;
    for (const cancel of timers) cancel();
    const left = this.#underWay.map(({ topic, id }) => `${topic} ${id}`);
    if (this.#lifecycle.state !== "stop") this.#lifecycle.enter("stop");
    return { finished: begun.length - left.length, notified: [], cut: left };
  }

  /** Leads whenever it can, until the stop. @param answered is called when the store has; `missing` if it cannot be used */
  async #run(answered: () => void, missing: (reason: SetupError) => void): Promise<void> {
    const { signal } = this.#stopping;
    const pauses = new Pauses(storeBackoff, this.#random);
    while (!signal.aborted) {
      try {
        const leadership = await this.#lead();
        answered();
        pauses.reset();
        this.#isReady();
        if (leadership === undefined) await this.#lock.wait(standbyMs, signal);
        else await this.#leadUntilLost(leadership);
      } catch (reason) {
        if (signal.aborted) break;
        if (reason instanceof SetupError && this.#lifecycle.state === "boot") return missing(reason);
        answered();
        if (toCallError(reason).code !== Code.Unavailable)
          warn(`the store cannot be used: ${String(reason)}`);
        await this.#lock.wait(pauses.nextMs(), signal);
      }
    }
    answered();
  }

  #lead(): Promise<Leadership | undefined> {
    const { store, lock, notify } = this.#options;
    const notified = notify ? () => this.wake() : undefined;
    return store.lead({ lock, notified, signal: this.#stopping.signal });
  }

  #isReady(): void {
    if (this.#lifecycle.state === "boot") this.#lifecycle.enter("listen");
    if (this.#lifecycle.state === "listen") this.#lifecycle.enter("ready");
  }

  async #leadUntilLost(leadership: Leadership): Promise<void> {
    const ended = AbortSignal.any([this.#stopping.signal, leadership.lost]);
    const refusals = new Refusals(this.#random);
    this.#counts.leads(leadership);
    try {
      await this.#removeConfirmed(leadership);
      while (!ended.aborted) {
        this.#mayHaveRows = false;
        const rows = await untilAborted(this.#batch(leadership, refusals), this.#left.signal);
        if (rows === 0 && !this.#mayHaveRows) await this.#rows.wait(this.#options.pollMs, ended);
      }
    } finally {
      this.#counts.leads(undefined);
      await leadership.close();
    }
  }

  /** Publishes the oldest rows once. @returns how many of them are no more in the outbox */
  async #batch(leadership: Leadership, refusals: Refusals): Promise<number> {
    const { batch: limit, broker } = this.#options;
    const except = refusals.waiting(this.#clock.nowMs());
    const rows = refusals.ready(await leadership.read({ limit, maxBytes: batchBytes, except }));
    if (rows.length === 0 || this.#stopping.signal.aborted) return 0;
    this.#underWay = rows;
    const signal = AbortSignal.any([this.#cut.signal, leadership.lost]);
    const { confirmed, refused } = await publishRows(broker, rows, signal);
    for (const row of confirmed) refusals.taken(row);
    this.#confirmed = confirmed.map(({ seq }) => seq);
    this.#underWay = refused.map(({ row }) => row);
    this.#counts.relayed("confirmed", confirmed.length);
    await this.#removeConfirmed(leadership);
    if (signal.aborted) return confirmed.length; // What it has cut is no refusal.
    let dead = 0;
    for (const { row, error } of refused) {
      const result = refusals.refused(row, error.code, this.#clock.nowMs());
      this.#counts.relayed(result, 1);
      if (result !== "dead") continue;
      dead++;
      await leadership.bury(row.seq, error.code, error.rawMessage.slice(0, 512));
      reportDead(row, error, this.#options.onDead);
    }
    this.#underWay = [];
    return confirmed.length + dead;
  }

  /** Deletes what the broker has, also by a later connection. */
  async #removeConfirmed(leadership: Leadership): Promise<void> {
    if (this.#confirmed.length === 0) return;
    await leadership.remove(this.#confirmed);
    this.#confirmed = [];
  }
}
