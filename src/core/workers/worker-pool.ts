import type { Clock } from "../time/clock.ts";
import type { StopSignal } from "../lifecycle/signals.ts";
import type { LiveWorker, WorkerEnd } from "./live-worker.ts";
import { RestartBackoff } from "./restart.ts";
import type { PrimaryLog, WorkerOptions } from "./worker-options.ts";

/** Why a worker was replaced. */
export type RestartCause = "died" | "reload" | "memory" | "start";

/** What a pool of workers needs. */
export interface PoolParts {
  readonly options: WorkerOptions & { readonly count: number };
  readonly clock: Clock;
  readonly log: PrimaryLog;
  /** Starts the process of a place. */
  readonly begin: (place: number) => LiveWorker;
  /** A worker may get connections, or gets no more of them. */
  readonly takes: (worker: LiveWorker, takes: boolean) => void;
}

/** A worker that has ended. */
export interface EndedWorker {
  readonly worker: LiveWorker;
  readonly end: WorkerEnd;
}

/** The first worker has ended before it was ready. */
export class StartFailed extends Error {
  readonly end: WorkerEnd;

  constructor({ end }: EndedWorker) {
    super(`no worker was ready: the first one has ended ${nameOfEnd(end)}`);
    this.end = end;
  }
}

interface Place {
  readonly number: number;
  readonly backoff: RestartBackoff;
  /** The one that serves, or is the first to. */
  worker: LiveWorker | undefined;
  /** The one that is to replace it. */
  next: LiveWorker | undefined;
  /** Cancels the start of the next one. */
  cancel: (() => void) | undefined;
}

/** Clients get so long to leave a worker that is replaced: each answer closes its connection. In milliseconds. */
const leaveMs = 2_000;
/** How long the stop of a worker may exceed its times, in milliseconds. */
const overtimeMs = 5_000;

/** Workers in their places: the processes that die are replaced, and all of them when they are to be new. */
export class WorkerPool {
  readonly restarts: Record<RestartCause, number> = { died: 0, reload: 0, memory: 0, start: 0 };
  readonly #parts: PoolParts;
  readonly #places: readonly Place[];
  readonly #alive = new Map<LiveWorker, PromiseWithResolvers<EndedWorker>>();
  readonly #starting = new Map<LiveWorker, (isReady: boolean) => void>();
  #renewal: Promise<void> | undefined;
  #isRenewedAgain = false;
  /** Whether there was a worker that was ready: from then on those that end are replaced. */
  #hasStarted = false;
  #isStopping = false;

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#places = Array.from({ length: parts.options.count }, (_, index) => ({
      number: index + 1,
      backoff: new RestartBackoff(parts.options.restart),
      worker: undefined,
      next: undefined,
      cancel: undefined,
    }));
  }

  /** All processes, those that stop too. */
  get all(): Iterable<LiveWorker> {
    return this.#alive.keys();
  }

  /**
   * Starts the first worker, and the others when it is ready: what is wrong with the program is said once.
   *
   * @throws StartFailed if the first worker ends before it is ready
   */
  async start(): Promise<void> {
    const [first, ...others] = this.#places;
    if (first === undefined) return;
    const worker = this.#begin(first);
    if (!(await this.#isUp(worker))) {
      if (this.#isStopping) return;
      throw new StartFailed(await this.#endOf(worker));
    }
    if (this.#isStopping) return;
    this.#hasStarted = true;
    await Promise.all(others.map((place) => this.#isUp(this.#begin(place))));
  }

  /** The servers of a worker are ready, for the first time. */
  ready(worker: LiveWorker): void {
    if (worker.stage !== "starting") return;
    worker.stage = "serving";
    worker.readySinceMs = this.#parts.clock.nowMs();
    this.#parts.takes(worker, true);
    this.#started(worker, true);
  }

  /** A process has ended. */
  ended(worker: LiveWorker, end: WorkerEnd): void {
    this.#started(worker, false);
    this.#alive.get(worker)?.resolve({ worker, end });
    this.#alive.delete(worker);
    const place = this.#places.find((place) => place.worker === worker);
    if (place === undefined) return;
    place.worker = undefined;
    if (this.#hasStarted && !this.#isStopping) this.#restart(place, worker, end);
  }

  /** Replaces all workers, one after the other; asked for meanwhile, once more after that. */
  renew(): Promise<void> {
    if (this.#renewal === undefined) return this.#whileAsked(() => this.#renewAll());
    this.#isRenewedAgain = true;
    return this.#renewal;
  }

  /** Replaces one worker, as it needs too much memory, unless workers are being replaced. */
  replaceLarge(worker: LiveWorker): void {
    const place = this.#places.find((place) => place.worker === worker);
    if (place === undefined || this.#renewal !== undefined || this.#isStopping) return;
    void this.#whileAsked(() => this.#replace(place, worker, "memory"));
  }

  /** Stops all workers. @returns how they have ended */
  async stop(signal: StopSignal): Promise<readonly EndedWorker[]> {
    this.#isStopping = true;
    for (const { cancel } of this.#places) cancel?.();
    const ends = [...this.#alive.values()].map(({ promise }) => promise);
    for (const worker of this.#alive.keys()) this.#leave(worker, signal, undefined);
    return Promise.all(ends);
  }

  /** Ends all processes now. */
  kill(): void {
    for (const worker of this.#alive.keys()) worker.kill();
  }

  #begin(place: Place, isNext = false): LiveWorker {
    const worker = this.#parts.begin(place.number);
    if (!isNext) place.worker = worker;
    this.#alive.set(worker, Promise.withResolvers<EndedWorker>());
    return worker;
  }

  /** Resolves when a new worker is ready, or has ended; it is ended when it takes too long. */
  #isUp(worker: LiveWorker): Promise<boolean> {
    const { clock, options, log } = this.#parts;
    return new Promise((resolve) => {
      const cancel = clock.after(options.startTimeoutMs, () => {
        log.error({ worker: worker.place }, `worker ${worker.place} was not ready in time`);
        worker.kill();
      });
      this.#starting.set(worker, (isReady) => {
        cancel();
        resolve(isReady);
      });
    });
  }

  #started(worker: LiveWorker, isReady: boolean): void {
    this.#starting.get(worker)?.(isReady);
    this.#starting.delete(worker);
  }

  #endOf(worker: LiveWorker): Promise<EndedWorker> {
    return this.#alive.get(worker)?.promise ?? Promise.resolve({ worker, end: { code: 1, signal: null } });
  }

  #restart(place: Place, worker: LiveWorker, end: WorkerEnd): void {
    const { clock, log } = this.#parts;
    const livedMs = worker.readySinceMs === undefined ? 0 : clock.nowMs() - worker.readySinceMs;
    const pauseMs = place.backoff.died(livedMs);
    this.restarts[worker.readySinceMs === undefined ? "start" : "died"]++;
    const fields = { worker: place.number, pid: worker.pid, ...end };
    const text = `worker ${place.number} has ended ${nameOfEnd(end)}, another one starts in ${pauseMs} ms`;
    if (worker.stage === "leaving" && end.code === 0) log.info(fields, text);
    else log.error(fields, text);
    place.cancel = clock.after(pauseMs, () => {
      place.cancel = undefined;
      // One that is being started to replace it is another one already.
      if (place.next === undefined) void this.#isUp(this.#begin(place));
    });
  }

  /** Replaces what `first` does, and then all workers as often as that was asked for meanwhile. */
  #whileAsked(first: () => Promise<unknown>): Promise<void> {
    const replacing = async (): Promise<void> => {
      await first();
      while (this.#isRenewedAgain) {
        this.#isRenewedAgain = false;
        await this.#renewAll();
      }
    };
    this.#renewal = replacing().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #renewAll(): Promise<void> {
    for (const place of this.#places) {
      const { worker } = place;
      if (this.#isStopping) return;
      if (worker === undefined || worker.stage !== "serving") continue; // The one that comes is new anyway.
      if (!(await this.#replace(place, worker, "reload"))) return;
    }
  }

  /** @returns whether the new one serves; otherwise the old one does */
  async #replace(place: Place, old: LiveWorker, cause: RestartCause): Promise<boolean> {
    const next = (place.next = this.#begin(place, true));
    const { log, options } = this.#parts;
    const isUp = await this.#isUp(next);
    place.next = undefined;
    if (!isUp) {
      if (this.#isStopping) return false;
      if (place.worker === undefined && place.cancel === undefined) void this.#isUp(this.#begin(place));
      const reason = next.fault === undefined ? "" : `: ${next.fault}`;
      log.error(
        { worker: place.number },
        `worker ${place.number} stays: the process that was to replace it has ended before it was ready${reason}`,
      );
      return false;
    }
    place.cancel?.(); // The old one has died meanwhile.
    place.cancel = undefined;
    place.worker = next;
    this.restarts[cause]++;
    log.info({ worker: place.number, pid: next.pid, cause }, `worker ${place.number} was replaced`);
    if (!this.#alive.has(old)) return true;
    const ended = this.#endOf(old);
    this.#leave(old, "SIGTERM", Math.max(options.drainDelayMs, leaveMs));
    await ended;
    return true;
  }

  /** A worker gets no more connections, and stops; it is ended when that takes too long. */
  #leave(worker: LiveWorker, signal: StopSignal, drainDelayMs: number | undefined): void {
    const { clock, options, takes, log } = this.#parts;
    worker.stage = "leaving";
    if (drainDelayMs !== undefined) takes(worker, false);
    worker.say({ kind: "stop", signal, drainDelayMs });
    const lastMs = Math.max(options.drainDelayMs, drainDelayMs ?? 0) + options.graceMs + overtimeMs;
    const cancel = clock.after(lastMs, () => {
      log.error({ worker: worker.place }, `worker ${worker.place} did not stop in time and is killed`);
      worker.kill();
    });
    void this.#endOf(worker).then(cancel);
  }
}

/** `with code 1`, `by SIGKILL`. */
export function nameOfEnd({ code, signal }: WorkerEnd): string {
  return signal === null ? `with code ${code}` : `by ${signal}`;
}
