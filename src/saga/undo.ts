import { codeName } from "../core/errors/code-name.ts";
import type { ConnectError } from "../core/errors/errors.ts";
import type { Backoff } from "../core/time/pauses.ts";
import type { StepCall } from "./saga.ts";

/** Takes back what a step has done, or may have done. */
export interface Undo {
  /** Name of the step. */
  readonly step: string;
  readonly run: (call: StepCall) => Promise<unknown>;
  /** Longest time of one run, in milliseconds. */
  readonly timeoutMs: number;
}

/** Pauses between the runs of an undo. */
export const undoBackoff: Backoff = Object.freeze({
  initialMs: 1_000,
  maxMs: 300_000,
  multiplier: 2,
  jitter: 0.2,
});

/** A saga that cannot go on by itself: it waits for `Sagas.retry`. */
export class SagaStuck extends Error {
  /** What it was at: the step, the undo, or `code` where the code of the saga does not fit its record. */
  readonly step: string;
  /** gRPC code. */
  readonly code: number;
  /** What the matter is. */
  readonly text: string;

  constructor(step: string, code: number, text: string) {
    super(`${step}: ${text}`);
    this.step = step;
    this.code = code;
    this.text = text;
  }
}

/** A saga is stuck at a call that has failed for good. */
export function stuckAt(step: string, { code, rawMessage }: ConnectError): SagaStuck {
  return new SagaStuck(step, code, `${codeName(code)} ${rawMessage}`);
}
