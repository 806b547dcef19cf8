import { codeName } from "../core/errors/code-name.ts";
import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { systemClock } from "../core/time/clock.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import { tellOperators } from "../core/telemetry/program-logger.ts";
import { Engine } from "./dbos-engine.ts";
import { Execution } from "./execution.ts";
import { EndedSagas } from "./ended-sagas.ts";
import { SagaHost } from "./host.ts";
import { Leases } from "./leases.ts";
import { never, pause } from "./long-timer.ts";
import { ReplyTypes } from "./reply-types.ts";
import type { Saga } from "./saga.ts";
import type { SagaCounts } from "./saga-counts.ts";
import { asked } from "./saga-errors.ts";
import { type SagaEnd, SagaRun } from "./saga-run.ts";
import { type NewSaga, SagaRows } from "./saga-rows.ts";
import { executorName, type SagasOptions, versionOf } from "./sagas-options.ts";
import { migrate } from "./schema-sql.ts";
import { SagaStuck } from "./undo.ts";

/** How often cancellations and signals that came to other processes are looked for, in milliseconds. */
const wakeMs = 500;
/** Sagas that are taken over by one statement. */
const adoptBatch = 500;
/** After which time a saga whose begin was cut off is begun by another process, in milliseconds. */
const cutBeginMs = 60_000;

/** The sagas that this process runs, from the launch of the engine to its end. */
export class SagaProcess {
  readonly rows: SagaRows;
  readonly #sagas: ReadonlyMap<string, { readonly saga: Saga; readonly types: ReplyTypes }>;
  readonly #names: string;
  readonly #executor: string;
  readonly #engine: Engine;
  readonly #host: SagaHost;
  readonly #leases: Leases;
  readonly #counts: SagaCounts;
  readonly #ended: EndedSagas;
  readonly #open = new Map<string, Execution>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #stopping = new AbortController();
  readonly #wakePause = new WakeablePause(systemClock);
  #waking: Promise<void> = Promise.resolve();

  private constructor(engine: Engine, executor: string, options: SagasOptions, counts: SagaCounts) {
    const { sagas, schema, leaseMs, concurrency, retentionMs } = options;
    this.#engine = engine;
    this.#executor = executor;
    this.#counts = counts;
    this.#sagas = new Map(
      sagas.map((saga) => [
        versionOf(saga.name, saga.version),
        { saga, types: new ReplyTypes(saga.name, [saga.input, saga.output]) },
      ]),
    );
    this.#names = [...this.#sagas.keys()].join(", ") || "none";
    this.rows = new SagaRows(engine.pool, schema, Date.now);
    this.#ended = new EndedSagas({
      ...{ rows: this.rows, engine, retentionMs },
      ...{ clock: systemClock, epochMs: Date.now },
    });
    this.#leases = new Leases({
      pool: engine.pool,
      schema,
      executor,
      leaseMs,
      clock: systemClock,
      onLost: () => this.#lose(),
      adopt: (ended, still) => this.#adopt(ended, still),
      sweep: () => this.#sweep(),
    });
    this.#host = new SagaHost(this.rows, {
      clock: systemClock,
      random: Math.random,
      concurrency,
      held: () => this.#leases.held(),
      undone: (saga, step) => counts.undone(saga, step),
    });
  }

  /** Launches the engine, and goes on with what was left. @throws what the engine or the database says */
  static async start(options: SagasOptions, counts: SagaCounts): Promise<SagaProcess> {
    const started = Promise.withResolvers<SagaProcess>();
    started.promise.catch(() => {}); // It is thrown below.
    const executor = executorName(options.instance);
    const { databaseUrl, schema } = options;
    // The engine may begin with what it finds before its launch has ended.
    const execute = async (id: string): Promise<void> => (await started.promise).#execute(id);
    const engine = await Engine.launch({ databaseUrl, schema, executor, execute });
    try {
      await migrate(engine.pool, schema);
      const process = new SagaProcess(engine, executor, options, counts);
      await process.#leases.start();
      process.#waking = process.#wakeLoop();
      started.resolve(process);
      return process;
    } catch (reason) {
      await engine.shutdown();
      throw reason;
    }
  }

  /** Begins a saga. @returns what is known under its id; undefined if it is new */
  async begin(saga: NewSaga): Promise<NewSaga | undefined> {
    if (this.#host.isStopping || !this.#leases.isHeld) {
      throw new ConnectError("this process begins no sagas: it stops, or has no database", Code.Unavailable);
    }
    const known = await asked(this.rows.add(saga));
    if (known === undefined) this.#counts.begun(saga.name);
    // One that has never run may be one whose begin was cut off.
    if (known === undefined || known.runs === 0) await this.#engine.begin(saga.id);
    return known;
  }

  /** Names of the sagas that run here. */
  *openSagas(): Iterable<string> {
    for (const { taken } of this.#open.values()) yield taken.name;
  }

  /** Resolves when a saga ends here, or after a time in milliseconds. */
  async ended(id: string, ms: number): Promise<void> {
    const over = new AbortController();
    const wake = (): void => over.abort();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(wake));
    await pause(systemClock, ms, [over.signal]);
    waiting.delete(wake);
    if (waiting.size === 0) this.#waiting.delete(id);
  }

  /** A saga was cancelled or signalled; if it runs elsewhere, that process finds out by itself. */
  wake(id: string, cancelWhy: string | undefined): void {
    this.#open.get(id)?.woken(cancelWhy);
  }

  /** Lets sagas that are stuck go on in any process. */
  release(ids: readonly string[]): Promise<void> {
    return this.#engine.release(ids);
  }

  async stop(graceMs: number): Promise<{ readonly finished: number; readonly cut: readonly string[] }> {
    this.#stopping.abort();
    const report = await this.#host.stop(graceMs);
    await this.#waking;
    await this.#leases.giveUp().catch(() => {}); // Without the database the lease ends by itself.
    await this.#engine.shutdown();
    return report;
  }

  /** Runs a saga for the engine. @throws what makes the engine stop it */
  async #execute(id: string): Promise<void> {
    if (this.#host.isStopping) return never();
    const taken = await this.#host.surely(() => this.rows.take(id, this.#executor));
    if (taken === undefined) return;
    this.#open.get(id)?.lost();
    const execution = new Execution(this.#host, taken);
    this.#open.set(id, execution);
    const end = await this.#run(execution).then(
      (ended) => ({ ended }),
      (reason: unknown) => ({ reason }),
    );
    if (this.#open.get(id) === execution) this.#open.delete(id);
    if ("ended" in end) return this.#end(execution, end.ended);
    if (execution.isLost || this.#host.isStopping || this.#engine.isFenced(end.reason)) return never();
    throw await this.#stuck(execution, end.reason);
  }

  async #run(execution: Execution): Promise<SagaEnd> {
    const { taken } = execution;
    const known = this.#sagas.get(versionOf(taken.name, taken.version));
    if (known === undefined) {
      const text = `it is ${versionOf(taken.name, taken.version)}, this process has ${this.#names}`;
      throw new SagaStuck("code", Code.FailedPrecondition, text);
    }
    const journal = this.#engine.journal({
      isClosed: () => this.#host.isStopping || execution.isLost,
      isOver: () => this.#host.isOver || execution.isLost,
      writing: () => this.#host.writing(),
    });
    const time = { clock: systemClock, epochMs: Date.now, random: Math.random };
    const run = new SagaRun({ ...known, begun: taken, journal, control: execution, time });
    return this.#engine.outside(() => run.run());
  }

  async #end({ taken }: Execution, end: SagaEnd): Promise<void> {
    const { id, runs, name } = taken;
    const isWritten = await this.#host.surely(() =>
      end.state === "DONE" ? this.rows.done(id, runs, end.output) : this.rows.undone(id, runs),
    );
    if (!isWritten) return never();
    this.#counts.ended(name, end.state === "DONE" ? "done" : "undone");
    for (const wake of this.#waiting.get(id) ?? []) wake();
  }

  async #stuck({ taken }: Execution, reason: unknown): Promise<unknown> {
    const { id, runs, name } = taken;
    const stuck =
      reason instanceof SagaStuck
        ? reason
        : new SagaStuck("engine", Code.Internal, toCallError(reason).message);
    const { step, code, text: message } = stuck;
    if (!(await this.#host.surely(() => this.rows.stuck(id, runs, { step, code, message })))) return never();
    tellOperators("SAGA", "warn", `saga ${name} ${id} is stuck at ${step}: ${message}`, {
      saga: name,
      id,
      step,
      code: codeName(code),
    });
    return this.#host.surely(() => this.#engine.stop(id));
  }

  async #wakeLoop(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#wakePause.wait(wakeMs, signal);
      if (this.#open.size === 0 || signal.aborted) continue;
      try {
        for (const { id, cancelWhy } of await this.rows.woken(this.#executor)) this.wake(id, cancelWhy);
      } catch {
        // The database is away: what came is found when it is back.
      }
    }
  }

  /** Takes over what another process has left. */
  async #adopt(executor: string, still: () => Promise<unknown>): Promise<void> {
    for (;;) {
      await still();
      const ids = await this.#engine.runBy(executor, adoptBatch);
      if (ids.length === 0) return;
      await this.#engine.release(ids);
      tellOperators("SAGA", "warn", `the sagas of ${executor} are taken over: ${ids.length}`, { executor });
    }
  }

  /** Begins what was cut off while it began, and forgets what has ended long ago. */
  async #sweep(): Promise<void> {
    for (const id of await this.rows.neverBegun(Date.now() - cutBeginMs)) await this.#engine.begin(id);
    await this.#ended.sweep();
  }

  /** Another process has taken over all sagas of this one. */
  #lose(): void {
    for (const execution of this.#open.values()) execution.lost();
    this.#open.clear();
  }
}
