import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import { SetupError } from "../core/errors/setup-error.ts";

/** How the call of a step or an undo is made: with its key, its time-out, its trace and its signal. Pass it to the client. */
export interface StepCall extends CallOptions {
  /** `idempotency-key` is `SAGA/STEP`, of an undo `SAGA/STEP/undo`; `traceparent` is the saga's trace. */
  readonly headers: Headers;
  /** What is left for this run, in milliseconds. */
  readonly timeoutMs: number;
  /** Fires at the time-out, when the saga is cancelled or its deadline passes, and at the end of a stop's grace. */
  readonly signal: AbortSignal;
}

/** Options of one step. */
export interface StepOptions {
  /**
   * Takes the step's effect back. It runs when the saga fails, is cancelled or passes its deadline: for each finished step,
   * and for the failed one unless each of its runs ended in a permanent code. It must do nothing, and succeed, where there
   * is nothing to undo. Default: none.
   */
  readonly undo: ((call: StepCall) => Promise<unknown>) | undefined;
  /** Longest time of one run, of the undo too, in milliseconds. Default: 30,000. */
  readonly timeoutMs: number;
  /** Most runs, for failures worth another. Default: 5. */
  readonly attempts: number;
  /** Pause after the first failed run, in milliseconds; doubles up to 60 s. Default: 1,000. */
  readonly backoffMs: number;
  /** From this step on nothing is undone: it and all later steps are tried until they succeed. Default: false. */
  readonly pivot: boolean;
  /** Type of the reply; needed where the client was not made by this package's `createClient`. Default: as the clients say. */
  readonly reply: DescMessage | undefined;
}

/** The defaults of `StepOptions`. */
export const stepDefaults: StepOptions = Object.freeze({
  undo: undefined,
  timeoutMs: 30_000,
  attempts: 5,
  backoffMs: 1_000,
  pivot: false,
  reply: undefined,
});

/**
 * What the body of a saga may use; nothing else in it may depend on time, chance or anything that another process could
 * see otherwise, since a body is run again from its begin, with the recorded outcomes, wherever the saga goes on.
 *
 * Operations run one at a time: each is awaited before the next.
 */
export interface SagaScope {
  /** Id of the saga. */
  readonly id: string;
  /**
   * Makes a call, whose reply, a message or nothing, is recorded: a recorded step never runs again.
   *
   * @param name unique in the saga, of letters, digits and `._-`, at most 100
   * @throws ConnectError when it has failed for good, the saga is cancelled or its deadline has passed. All later
   *   operations throw it too, and when the body has ended, what is done is undone, even if the body has caught it
   */
  step<T extends Message | void>(
    name: string,
    run: (call: StepCall) => Promise<T>,
    options?: Partial<StepOptions>,
  ): Promise<T>;
  /**
   * Waits for a message sent by `Sagas.signal`. Each is taken once, in order; one that came before the wait counts.
   *
   * @param options `timeoutMs`: the longest wait, in milliseconds. Default: until the saga's deadline
   * @throws ConnectError DEADLINE_EXCEEDED after `timeoutMs`, which the body may handle; else as `step`
   */
  wait<D extends DescMessage>(
    schema: D,
    options?: { readonly timeoutMs?: number | undefined },
  ): Promise<MessageShape<D>>;
  /** Waits for a time, in milliseconds. @throws ConnectError as `step` */
  sleep(ms: number): Promise<void>;
  /** The time at which the last operation ended, at first at which the saga began, in milliseconds since 1970. */
  now(): number;
  /** A number from 0 to 1, below 1, as `Math.random()`: the same whenever the body is run again. */
  random(): number;
}

/** What a saga does. */
export type SagaBody<I extends DescMessage, O extends DescMessage> = (
  s: SagaScope,
  input: MessageShape<I>,
) => Promise<MessageInitShape<O>>;

/** Name and types of a saga. */
export interface SagaOptions<I extends DescMessage, O extends DescMessage> {
  /** Letters, digits and `._-`, at most 100: the label of metrics. */
  readonly name: string;
  /** A whole number from 1. Raise it with each change of the body, and keep the old version while sagas of it are open. */
  readonly version: number;
  readonly input: I;
  readonly output: O;
}

/** A saga, made by `saga`. */
export interface Saga<
  I extends DescMessage = DescMessage,
  O extends DescMessage = DescMessage,
> extends SagaOptions<I, O> {
  /** Runs the body: the input and the output in protobuf binary. */
  readonly run: (s: SagaScope, input: Uint8Array) => Promise<Uint8Array>;
}

/** Names of sagas and steps: they are parts of a header's value. */
export const sagaNameForm = /^[A-Za-z0-9._-]{1,100}$/;

/**
 * Defines a saga: steps that are calls, each with what undoes it.
 *
 * @throws SetupError if its name or version cannot be used
 */
export function saga<I extends DescMessage, O extends DescMessage>(
  options: SagaOptions<I, O>,
  body: SagaBody<I, O>,
): Saga<I, O> {
  const { name, version, input, output } = options;
  if (!sagaNameForm.test(name)) {
    throw new SetupError(
      `the saga name "${name}" must have 1 to 100 letters, digits, dots, hyphens, underscores`,
    );
  }
  if (!Number.isSafeInteger(version) || version < 1 || version > 2 ** 31 - 1) {
    throw new SetupError(`saga ${name}: version ${version} must be a whole number from 1`);
  }
  const run = async (s: SagaScope, bytes: Uint8Array): Promise<Uint8Array> => {
    const result = await body(s, fromBinary(input, bytes));
    return toBinary(output, create(output, result));
  };
  return Object.freeze({ name, version, input, output, run });
}
