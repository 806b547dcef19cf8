import { randomUUID } from "node:crypto";
import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../core/lifecycle/lifecycle.ts";
import { type BeginOptions, checkId, type SagaHandle } from "./begin-options.ts";
import type { Saga } from "./saga.ts";
import { asked, checkSame, refusal, unavailable, unknownSaga } from "./saga-errors.ts";
import { type MetricsPage, SagaCounts } from "./saga-counts.ts";
import { SagaProcess } from "./saga-process.ts";
import type { SagaFilter, SagaStatus } from "./saga-status.ts";
import { type SagasInit, type SagasOptions, toSagasOptions, versionOf } from "./sagas-options.ts";
import { newTraceparent } from "./traceparent.ts";

/** How often the end of a saga of another process is looked for, in milliseconds. */
const resultPollMs = 250;

/**
 * Runs sagas: begins them, goes on with what this process or another has left, and says how they stand. A server like the
 * others: start, gracefulStop.
 *
 * The engine behind is DBOS, of which there is one in a process: all sagas of a program are given to one `Sagas`.
 */
export class Sagas implements ManagedServer {
  readonly name = "SAGA";
  readonly #options: SagasOptions;
  readonly #lifecycle = new Lifecycle();
  readonly #counts: SagaCounts;
  #process: SagaProcess | undefined;
  #stopped: Promise<StopReport> | undefined;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: SagasInit) {
    this.#options = toSagasOptions(options);
    this.#counts = new SagaCounts({
      open: () => this.#process?.openSagas() ?? [],
      stuck: async () => (await this.#process?.rows.countStuck()) ?? new Map(),
      nowMs: () => performance.now(),
    });
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state. @returns a function that unsubscribes it */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /**
   * Creates the tables that are missing, and goes on with what was left.
   *
   * @throws SetupError if the package `@dbos-inc/dbos-sdk` is not installed, or DBOS runs in this process already;
   *   ConnectError UNAVAILABLE if the database cannot be used
   */
  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    try {
      this.#process = await SagaProcess.start(this.#options, this.#counts);
    } catch (reason) {
      this.#lifecycle.enter("error");
      if (reason instanceof SetupError) throw reason;
      throw unavailable(reason);
    }
    this.#lifecycle.enter("listen");
    this.#lifecycle.enter("ready");
  }

  /**
   * Begins a saga; resolves when it is kept. A known id with the same input gives the saga that there is, in whatever
   * state: the id of a message makes a saga of it once.
   *
   * @throws ConnectError ALREADY_EXISTS for a known id with another saga or input; INVALID_ARGUMENT for an id that cannot
   *   be used; UNAVAILABLE while the process stops, or without the database: whether it was begun is unknown then, and
   *   the same call finds out. SetupError for a saga that is not among those of `SagasOptions`
   */
  async begin<I extends DescMessage, O extends DescMessage>(
    saga: Saga<I, O>,
    input: MessageInitShape<I>,
    { id = randomUUID(), timeoutMs, context }: BeginOptions = {},
  ): Promise<SagaHandle<O>> {
    const { name, version } = saga;
    if (!this.#options.sagas.includes(saga)) {
      throw new SetupError(`Sagas: ${versionOf(name, version)} is not among \`sagas\``);
    }
    checkId(id);
    const begunMs = Date.now();
    const known = await this.#running().begin({
      id,
      name,
      version,
      input: toBinary(saga.input, create(saga.input, input)),
      begunMs,
      deadlineMs: timeoutMs === undefined ? undefined : begunMs + Math.round(timeoutMs),
      traceparent: newTraceparent(context?.requestHeader),
    });
    if (known !== undefined) checkSame(saga, create(saga.input, input), id, known);
    return {
      id,
      isNew: known === undefined,
      // It is of the saga that was begun, whose name was compared.
      result: (options) => this.result(id, options) as Promise<MessageShape<O>>,
    };
  }

  /**
   * Waits for the end of a saga, and gives its output. `timeoutMs`: the longest wait, in milliseconds; default: for ever.
   *
   * @throws ConnectError with code and message of what has failed if the saga is undone; DEADLINE_EXCEEDED after
   *   `timeoutMs`, also for a saga that is stuck; NOT_FOUND for an unknown id
   */
  async result(id: string, { timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<Message> {
    const untilMs = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    for (;;) {
      const process = this.#running();
      const woken = process.ended(id, resultPollMs);
      const status = await asked(process.rows.status(id));
      if (status === undefined) throw unknownSaga(id);
      if (status.state === "DONE")
        return fromBinary(this.#outputOf(status), status.output ?? new Uint8Array());
      if (status.state === "UNDONE") {
        throw new ConnectError(status.failure?.message ?? "undone", status.failure?.code ?? Code.Aborted);
      }
      if (performance.now() >= untilMs) {
        throw new ConnectError(`saga ${id} has not ended: it is ${status.state}`, Code.DeadlineExceeded);
      }
      await woken;
    }
  }

  /** How a saga stands; undefined for an unknown id. @throws ConnectError UNAVAILABLE without the database */
  async status(id: string): Promise<SagaStatus | undefined> {
    const found = await asked(this.#running().rows.status(id));
    if (found === undefined) return undefined;
    const { output: _, ...status } = found;
    return status;
  }

  /** The sagas of a filter, the newest first. @throws ConnectError UNAVAILABLE without the database */
  list(filter: SagaFilter = {}): Promise<readonly SagaStatus[]> {
    return asked(this.#running().rows.list(filter));
  }

  /**
   * Sends a message to a saga that waits for its type, or will.
   *
   * @throws ConnectError NOT_FOUND for an unknown id, FAILED_PRECONDITION for a saga that has ended or is being undone
   */
  async signal<D extends DescMessage>(id: string, schema: D, message: MessageInitShape<D>): Promise<void> {
    const process = this.#running();
    const body = toBinary(schema, create(schema, message));
    const found = await asked(process.rows.signal(id, schema.typeName, body));
    if (found === undefined) throw await this.#refusal(id, "takes no signal");
    process.wake(id, undefined);
  }

  /**
   * Cancels a saga: a call under way is cancelled, and what is done is undone. Resolves when that is noted; a saga that is
   * just ending may still be done. Nothing happens to one that is being undone.
   *
   * @param why for its status and its error
   * @throws ConnectError NOT_FOUND for an unknown id, FAILED_PRECONDITION after a pivot or its end
   */
  async cancel(id: string, why: string): Promise<void> {
    const process = this.#running();
    const found = await asked(process.rows.cancel(id, why));
    if (found !== undefined) return process.wake(id, why);
    const status = await this.status(id);
    if (status?.state === "UNDOING") return;
    throw await this.#refusal(id, "cannot be cancelled");
  }

  /**
   * Lets a saga that is STUCK go on where it is: with the undo that has failed, or with other code.
   *
   * @throws ConnectError NOT_FOUND for an unknown id, FAILED_PRECONDITION for a saga that is not stuck
   */
  async retry(id: string): Promise<void> {
    const status = await this.status(id);
    if (status?.state !== "STUCK") throw await this.#refusal(id, "is not stuck");
    await asked(this.#running().release([id]));
  }

  /** Adds the metrics of the sagas to a page. @returns a function that takes them from it */
  watch(metrics: MetricsPage): () => void {
    return this.#counts.watch(metrics);
  }

  /** Does nothing: no calls come to sagas. */
  drain(): void {}

  /**
   * Begins no step and no undo any more. Those that run may end within the grace period; then their calls are cancelled,
   * and another process runs them again. The lease is given up, so that others go on with all sagas at once. Idempotent.
   */
  gracefulStop(options: StopOptions = {}): Promise<StopReport> {
    return (this.#stopped ??= this.#stop(options.graceMs ?? defaultGraceMs));
  }

  async #stop(graceMs: number): Promise<StopReport> {
    if (this.#lifecycle.state === "ready") this.#lifecycle.enter("graceful");
    const { finished, cut } = (await this.#process?.stop(graceMs)) ?? { finished: 0, cut: [] };
    this.#lifecycle.enter("stop");
    return { finished, notified: [], cut };
  }

  #running(): SagaProcess {
    const { state } = this.#lifecycle;
    if (this.#process === undefined || state !== "ready") {
      throw new ConnectError(`the sagas of this process do not run: ${state}`, Code.Unavailable);
    }
    return this.#process;
  }

  #outputOf({ saga, version }: SagaStatus): DescMessage {
    const { sagas } = this.#options;
    const found =
      sagas.find((one) => one.name === saga && one.version === version) ??
      sagas.find((one) => one.name === saga);
    if (found !== undefined) return found.output;
    throw new ConnectError(`this process does not know ${versionOf(saga, version)}`, Code.FailedPrecondition);
  }

  async #refusal(id: string, problem: string): Promise<ConnectError> {
    return refusal(id, await this.status(id), problem);
  }
}
