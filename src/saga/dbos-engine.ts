import { AsyncLocalStorage } from "node:async_hooks";
import type * as dbosSdk from "@dbos-inc/dbos-sdk";
import { loadPeer } from "../core/config/optional-peer.ts";
import { toCallError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { loggerOfProgram } from "../core/telemetry/program-logger.ts";
import { readEntry, writeEntry } from "./entry-text.ts";
import { JournalMismatch, type SagaJournal } from "./journal.ts";
import { never } from "./long-timer.ts";
import type { SqlPool } from "./sql.ts";

/** Where and as whom the engine runs. */
export interface EngineOptions {
  readonly databaseUrl: string;
  readonly schema: string;
  /** Unique among all processes that there ever were. */
  readonly executor: string;
  /** Runs a saga. @throws what `Engine.asStuck` gives, to stop it; else nothing */
  readonly execute: (id: string) => Promise<void>;
}

/** What is still recorded while a process stops. */
export interface RecordGate {
  /** Whether no operation begins any more. */
  isClosed(): boolean;
  /** Whether nothing is recorded any more. */
  isOver(): boolean;
  /** An outcome is being recorded. @returns to be called when it is */
  writing(): () => void;
}

/** Recorded by the engine for each workflow. It never changes, so that recovery does not depend on the code. */
const codeVersion = "ts-ms";
/** After which time of silence the database ends a transaction, in milliseconds: less than a lease. */
const frozenMs = 10_000;
/** Connections to the database. */
const poolSize = 10;
/** The engine's own limit of recoveries: none, since a saga may be open for years. */
const noLimit = 2 ** 31 - 1;

type Sdk = Pick<typeof dbosSdk, "DBOS" | "Error">;

/** The workflow of the engine, registered once per process, and what it runs. */
let workflow: ((id: string) => Promise<void>) | undefined;
let execute: ((id: string) => Promise<void>) | undefined;

/**
 * DBOS in this process. It is a singleton there: one engine at a time.
 *
 * Everything here that talks to DBOS runs outside of the caller's context, so that a saga is no part of the call that has
 * begun it.
 */
export class Engine {
  readonly #sdk: Sdk;
  readonly #outside = AsyncLocalStorage.snapshot();
  readonly pool: SqlPool;

  private constructor(sdk: Sdk, pool: SqlPool) {
    this.#sdk = sdk;
    this.pool = pool;
  }

  /** @throws SetupError where DBOS is not installed or runs already; what the database says */
  static async launch(options: EngineOptions): Promise<Engine> {
    const load = <T>(from: () => Promise<T>): Promise<T> => loadPeer("@dbos-inc/dbos-sdk", "Sagas", from);
    // They are CommonJS, whose exports are the default alone in a bundle.
    const sdk = (await load(() => import("@dbos-inc/dbos-sdk"))).default;
    const { DBOSExecutor } = (await load(() => import("@dbos-inc/dbos-sdk/internal/dbos-executor"))).default;
    if (sdk.DBOS.isInitialized()) {
      throw new SetupError(
        "Sagas: DBOS runs in this process already: give all sagas to one Sagas, and launch no other DBOS",
      );
    }
    workflow ??= sdk.DBOS.registerWorkflow((id: string) => execute?.(id) ?? Promise.resolve(), {
      name: "saga",
      maxRecoveryAttempts: noLimit,
    });
    sdk.DBOS.setConfig({
      name: "ts-ms-saga",
      systemDatabaseUrl: withIdleLimit(options.databaseUrl),
      systemDatabaseSchemaName: options.schema,
      systemDatabasePoolSize: poolSize,
      executorID: options.executor,
      applicationVersion: codeVersion,
      listenQueues: [],
      useListenNotify: false,
      logger: engineLogger,
    });
    execute = options.execute;
    await sdk.DBOS.launch();
    const executor = DBOSExecutor.globalInstance;
    if (executor === undefined) throw new Error("DBOS has no executor after its launch");
    return new Engine(sdk, executor.systemDatabase.pool);
  }

  /** Begins a saga, if it has not begun yet. */
  async begin(id: string): Promise<void> {
    const begun = workflow;
    if (begun === undefined) throw new Error("no engine was launched");
    await this.outside(() => this.#sdk.DBOS.startWorkflow(begun, { workflowID: id })(id));
  }

  /** Lets any process go on with sagas that none runs, or from whose process they are taken. */
  async release(ids: readonly string[]): Promise<void> {
    await this.outside(() => this.#sdk.DBOS.resumeWorkflows([...ids]));
  }

  /** Forgets all that is on record of sagas that have ended. */
  async forget(ids: readonly string[]): Promise<void> {
    await this.outside(() => this.#sdk.DBOS.deleteWorkflows([...ids]));
  }

  /** Up to so many sagas that an executor runs, or has run when it ended. */
  async runBy(executor: string, limit: number): Promise<readonly string[]> {
    const found = await this.outside(() =>
      this.#sdk.DBOS.listWorkflows({
        status: "PENDING",
        executorId: executor,
        limit,
        loadInput: false,
        loadOutput: false,
      }),
    );
    return found.map(({ workflowID }) => workflowID);
  }

  /** Stops a saga until it is released. @returns what its execution must throw */
  async stop(id: string): Promise<unknown> {
    await this.outside(() => this.#sdk.DBOS.cancelWorkflow(id));
    return new this.#sdk.Error.DBOSWorkflowCancelledError(id);
  }

  /** The record of the saga whose execution calls this. */
  journal(gate: RecordGate): SagaJournal {
    const inside = AsyncLocalStorage.snapshot();
    const { DBOS, Error: errors } = this.#sdk;
    return {
      record: async (name, live) => {
        if (gate.isClosed()) return never();
        let written = (): void => {};
        const work = async (): Promise<string> => {
          const entry = await this.outside(live);
          if (gate.isOver()) return never();
          written = gate.writing();
          return writeEntry(entry);
        };
        try {
          return readEntry(await inside(() => DBOS.runStep(work, { name })));
        } catch (reason) {
          if (reason instanceof errors.DBOSUnexpectedStepError) throw mismatchOf(reason);
          throw reason;
        } finally {
          written();
        }
      },
    };
  }

  /** Whether the execution that has thrown this goes on elsewhere. */
  isFenced(reason: unknown): boolean {
    const { DBOSWorkflowConflictError, DBOSWorkflowCancelledError } = this.#sdk.Error;
    return reason instanceof DBOSWorkflowConflictError || reason instanceof DBOSWorkflowCancelledError;
  }

  /** Runs a function outside of the context of the caller. */
  outside<T>(run: () => T): T {
    return this.#outside(run);
  }

  /** Ends the engine; executions that are under way go no further. */
  async shutdown(): Promise<void> {
    await this.outside(() => this.#sdk.DBOS.shutdown());
    execute = undefined;
  }
}

/**
 * A database ends transactions of a process that has stopped in one, so that no other waits for its locks. In the address,
 * since DBOS would set it by a query that its client warns of.
 */
function withIdleLimit(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  if (url.searchParams.has("options")) return databaseUrl;
  url.searchParams.set("options", `-c idle_in_transaction_session_timeout=${frozenMs}`);
  return url.href;
}

/** What DBOS says, in its text alone. */
function mismatchOf(error: Error & { readonly expectedName: string }): JournalMismatch {
  const [, recorded] = /, function (.*) was recorded when /s.exec(error.message) ?? [];
  return new JournalMismatch(recorded ?? "another operation", error.expectedName);
}

function log(level: "debug" | "warn", entry: unknown): void {
  loggerOfProgram()?.[level](
    { engine: "dbos" },
    entry instanceof Error ? toCallError(entry).message : String(entry),
  );
}

/** DBOS logs each failure that it gets over as a warning, and each saga that ends badly as an error. */
const engineLogger = {
  debug: (entry: unknown): void => log("debug", entry),
  info: (entry: unknown): void => log("debug", entry),
  warn: (entry: unknown): void => log("debug", entry),
  error: (entry: unknown): void => log("warn", entry),
};
