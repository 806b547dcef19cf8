import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import type { RecordedFailure } from "./journal.ts";
import { afterLong } from "./long-timer.ts";
import type { StepTime } from "./steps.ts";

/** Fires once, when a saga is cancelled or its deadline passes, unless it was released before. */
export class EndingSignal {
  readonly #controller = new AbortController();
  readonly #cancelled: AbortSignal;
  readonly #onCancel: () => void;
  readonly #cancelTimer: () => void;
  readonly #deadlineMs: number | undefined;
  readonly #epochMs: () => number;
  #cause: "cancel" | "deadline" = "cancel";
  #isReleased = false;

  /** @param deadlineMs in milliseconds since 1970; undefined for none */
  constructor({ clock, epochMs }: StepTime, cancelled: AbortSignal, deadlineMs: number | undefined) {
    this.#cancelled = cancelled;
    this.#deadlineMs = deadlineMs;
    this.#epochMs = epochMs;
    this.#onCancel = () => this.#fire("cancel", toCallError(cancelled.reason));
    this.#cancelTimer =
      deadlineMs === undefined
        ? () => {}
        : afterLong(clock, deadlineMs - epochMs(), () => this.#fire("deadline", passed()));
    if (cancelled.aborted) this.#onCancel();
    else cancelled.addEventListener("abort", this.#onCancel);
  }

  /** Its reason is a ConnectError CANCELLED or DEADLINE_EXCEEDED. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it cannot fire any more. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** What has made it fire; also a deadline whose timer is late. */
  failure(): Omit<RecordedFailure, "mayHaveRun"> | undefined {
    if (this.#isReleased) return undefined;
    if (this.#deadlineMs !== undefined && this.#epochMs() >= this.#deadlineMs)
      this.#fire("deadline", passed());
    if (!this.signal.aborted) return undefined;
    const { code, rawMessage: message } = toCallError(this.signal.reason);
    return { code, message, cause: this.#cause };
  }

  /** It will not fire any more: the saga only goes forward, or has ended. */
  release(): void {
    this.#isReleased = true;
    this.#cancelTimer();
    this.#cancelled.removeEventListener("abort", this.#onCancel);
  }

  #fire(cause: "cancel" | "deadline", error: ConnectError): void {
    if (this.#isReleased || this.signal.aborted) return;
    this.#cause = cause;
    this.#controller.abort(error);
  }
}

function passed(): ConnectError {
  return new ConnectError("the saga's deadline has passed", Code.DeadlineExceeded);
}
