import { createHash } from "node:crypto";
import { type DescMessage, fromBinary, type Message, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { EndingSignal } from "./ending-signal.ts";
import { type JournalEntry, JournalMismatch, type RecordedFailure } from "./journal.ts";
import { LiveOperations, type RunParts } from "./live-operations.ts";
import { never } from "./long-timer.ts";
import { sagaNameForm, type SagaScope, stepDefaults, type StepCall, type StepOptions } from "./saga.ts";
import { SagaStuck, stuckAt, type Undo } from "./undo.ts";

/** How a saga has ended. */
export type SagaEnd =
  | { readonly state: "DONE"; readonly output: Uint8Array }
  | { readonly state: "UNDONE"; readonly failure: RecordedFailure };

/**
 * One execution of a saga: its body, with outcomes from the journal as far as there are any, and then the undos.
 *
 * ```
 *   body ── end ──▶ DONE
 *    │ a step has failed, cancel, deadline, an exception; not after a pivot
 *    ▼
 *   undos, in reverse ──▶ UNDONE
 * ```
 */
export class SagaRun implements SagaScope {
  readonly #parts: RunParts;
  readonly #live: LiveOperations;
  readonly #ending: EndingSignal;
  readonly #halted = Promise.withResolvers<never>();
  readonly #names = new Set<string>();
  readonly #taken: string[] = [];
  readonly #undos: Undo[] = [];
  /** The operation under way. */
  #current: { readonly name: string; readonly settled: Promise<void> } | undefined;
  /** Why everything is to be undone. */
  #failure: RecordedFailure | undefined;
  #lastMs: number;
  #randoms = 0;

  constructor(parts: RunParts) {
    this.#parts = parts;
    const { control, time, begun } = parts;
    this.#ending = new EndingSignal(time, control.cancelled, begun.deadlineMs);
    if (control.isPivoted) this.#ending.release();
    this.#live = new LiveOperations(parts, this.#ending, (reason) => this.#halt(reason));
    this.#lastMs = begun.begunMs;
  }

  get id(): string {
    return this.#parts.begun.id;
  }

  now(): number {
    return this.#lastMs;
  }

  random(): number {
    const digest = createHash("sha256")
      .update(`${this.id}/${this.#randoms++}`)
      .digest();
    return digest.readUIntBE(0, 6) / 2 ** 48;
  }

  /**
   * Runs it. Does not resolve where the process stops before the end.
   *
   * @throws SagaStuck where it cannot go on by itself; else what the journal throws
   */
  async run(): Promise<SagaEnd> {
    try {
      return await Promise.race([this.#halted.promise, this.#execute()]);
    } finally {
      this.#ending.release();
    }
  }

  async step<T extends Message | void>(
    name: string,
    run: (call: StepCall) => Promise<T>,
    options: Partial<StepOptions> = {},
  ): Promise<T> {
    const settings: StepOptions = { ...stepDefaults, ...options };
    this.#checkStep(name, settings);
    const entry = await this.#operate(`step ${name}`, () => this.#live.step(name, run, settings));
    const { undo, timeoutMs, pivot, reply } = settings;
    if (pivot && entry.failure === undefined) this.#ending.release();
    if (undo !== undefined && entry.failure?.mayHaveRun !== false) {
      this.#undos.push({ step: name, run: undo, timeoutMs });
    }
    if (entry.failure !== undefined) throw errorOf(entry.failure);
    try {
      return this.#parts.types.read(name, entry.value, reply) as T; // It is of the type that the step has replied.
    } catch (error) {
      return this.#halt(stuckAt(name, toCallError(error)));
    }
  }

  async wait<D extends DescMessage>(
    schema: D,
    { timeoutMs }: { readonly timeoutMs?: number | undefined } = {},
  ): Promise<MessageShape<D>> {
    const fromMs = this.#lastMs;
    const entry = await this.#operate(`wait ${schema.typeName}`, () =>
      this.#live.wait(schema.typeName, timeoutMs === undefined ? undefined : fromMs + timeoutMs, this.#taken),
    );
    if (entry.failure !== undefined) throw errorOf(entry.failure);
    if (entry.signal !== undefined) this.#taken.push(entry.signal);
    return fromBinary(schema, entry.value?.bytes ?? new Uint8Array());
  }

  async sleep(ms: number): Promise<void> {
    const untilMs = this.#lastMs + ms;
    const entry = await this.#operate("sleep", () => this.#live.sleep(untilMs));
    if (entry.failure !== undefined) throw errorOf(entry.failure);
  }

  async #execute(): Promise<SagaEnd> {
    const { saga, begun, control } = this.#parts;
    const body = saga.run(this, begun.input).then(
      (output) => ({ output }),
      (thrown: unknown) => ({ thrown }),
    );
    const result = await body;
    await this.#current?.settled;
    const end = await this.#record("end", () => this.#live.end(result, this.#failure));
    if (end.failure === undefined) return { state: "DONE", output: end.value?.bytes ?? new Uint8Array() };
    await control.undoing(end.failure);
    for (const undo of this.#undos.toReversed()) {
      await this.#record(`undo ${undo.step}`, () => this.#live.undo(undo));
    }
    return { state: "UNDONE", failure: end.failure };
  }

  /** Runs an operation, or gives its recorded outcome. */
  async #operate(name: string, live: () => Promise<JournalEntry>): Promise<JournalEntry> {
    if (this.#failure !== undefined) throw errorOf(this.#failure);
    if (this.#current !== undefined) {
      throw this.#misuse(
        `${name} began while ${this.#current.name} ran: await each operation before the next`,
      );
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#current = { name, settled: promise };
    try {
      const entry = await this.#record(name, live);
      this.#lastMs = entry.atMs;
      if (entry.failure !== undefined && entry.failure.cause !== "timeout") this.#failure = entry.failure;
      return entry;
    } finally {
      this.#current = undefined;
      resolve();
    }
  }

  async #record(name: string, live: () => Promise<JournalEntry>): Promise<JournalEntry> {
    try {
      return await this.#parts.journal.record(name, live);
    } catch (reason) {
      return this.#halt(reason);
    }
  }

  /** Ends the execution; what awaits this goes no further. */
  #halt<T>(reason: unknown): Promise<T> {
    const { saga } = this.#parts;
    this.#halted.reject(
      reason instanceof JournalMismatch
        ? new SagaStuck(
            "code",
            Code.FailedPrecondition,
            `${reason.message} (${saga.name} version ${saga.version})`,
          )
        : reason,
    );
    return never();
  }

  #checkStep(name: string, { pivot, undo }: StepOptions): void {
    if (!sagaNameForm.test(name)) {
      throw this.#misuse(
        `the step name "${name}" must have 1 to 100 letters, digits, dots, hyphens, underscores`,
      );
    }
    if (this.#names.has(name)) throw this.#misuse(`the step name "${name}" is used twice`);
    if (pivot && undo !== undefined) throw this.#misuse(`step ${name} is a pivot: it has no undo`);
    this.#names.add(name);
  }

  #misuse(problem: string): ConnectError {
    return new ConnectError(`saga ${this.#parts.saga.name}: ${problem}`, Code.FailedPrecondition);
  }
}

/** The error that a body gets for a failure. */
export function errorOf({ code, message }: RecordedFailure): ConnectError {
  return new ConnectError(message, code);
}
