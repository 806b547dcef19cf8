import type { Code, ConnectError } from "../errors/errors.ts";
import { markSpent } from "../errors/spent-retries.ts";
import { Hedges, type HedgeBooks } from "../resilience/hedge.ts";
import type { Pushback } from "../resilience/pushback.ts";
import type { Clock } from "../time/clock.ts";
import type { ClusterEndpoint } from "./endpoint.ts";

/** One attempt of a hedged call, as its group sees it. */
export interface HedgedAttempt {
  readonly beganMs: number;
  /** Another attempt has decided: this one counts nowhere. */
  lose(): void;
}

/** What a group needs of its call. */
export interface HedgedParts {
  readonly books: HedgeBooks;
  readonly clock: Clock;
  /** Whether the call can be made once more, on an endpoint to which none of the attempts has gone. */
  canBegin(tried: readonly ClusterEndpoint[]): boolean;
  /** Begins another attempt. @param previous attempts before it */
  begin(previous: number): HedgedAttempt;
  /** The call has ended. */
  finished(code: number, nowMs: number): void;
}

/**
 * The attempts of one call with one request, of which the first that succeeds decides, or the first whose stream of replies
 * begins (gRFC A6).
 */
export class HedgeGroup {
  /** Endpoints that any attempt was sent to. */
  readonly tried: ClusterEndpoint[] = [];
  readonly #parts: HedgedParts;
  readonly #attempts: HedgedAttempt[];
  /** Undefined before the first attempt has begun. */
  #hedges: Hedges | undefined;
  #cancelTimer: (() => void) | undefined;
  #isOver = false;
  /** The attempt whose stream of replies has begun. */
  #committed: HedgedAttempt | undefined;

  constructor(first: HedgedAttempt, parts: HedgedParts) {
    this.#parts = parts;
    this.#attempts = [first];
  }

  /** An attempt has begun on an endpoint. */
  began(endpoint: ClusterEndpoint, nowMs: number): void {
    this.tried.push(endpoint);
    if (this.#hedges !== undefined) return;
    this.#hedges = new Hedges(this.#parts.books, nowMs);
    this.#schedule();
  }

  /** The stream of an attempt's replies has begun: the others end, and its outcome will be that of the call. */
  committed(attempt: HedgedAttempt, nowMs: number): void {
    if (this.#isOver || this.#committed !== undefined) return;
    this.#committed = attempt;
    this.#cancelTimer?.();
    this.#hedges?.succeeded(nowMs - attempt.beganMs);
    this.#loseOthers(attempt);
  }

  /** An attempt has succeeded: the others end. */
  succeeded(attempt: HedgedAttempt, nowMs: number): void {
    this.#hedges?.succeeded(nowMs - attempt.beganMs);
    this.end(attempt, 0, nowMs);
  }

  /**
   * An attempt has failed.
   *
   * @param code UNAVAILABLE for one that the policy's own time limit has ended
   * @returns whether other attempts go on; otherwise its error is that of the call
   */
  failed(
    attempt: HedgedAttempt,
    error: ConnectError,
    code: Code,
    pushback: Pushback,
    nowMs: number,
  ): boolean {
    if (this.#committed !== undefined) {
      this.end(attempt, error.code, nowMs);
      return false;
    }
    const hedges = this.#hedges;
    const decision = hedges?.failed(code, pushback, nowMs, this.#parts.canBegin(this.tried));
    if (decision === undefined || decision.kind === "outcome") {
      if (hedges !== undefined && this.#parts.books.rules.codes.has(code)) markSpent(error);
      this.end(attempt, error.code, nowMs);
      return false;
    }
    if (decision.kind === "next") this.#begin();
    this.#schedule();
    return true;
  }

  /** The call ends with this attempt. */
  end(attempt: HedgedAttempt, code: number, nowMs: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelTimer?.();
    this.#loseOthers(attempt);
    this.#parts.finished(code, nowMs);
  }

  #loseOthers(attempt: HedgedAttempt): void {
    for (const other of this.#attempts) if (other !== attempt) other.lose();
  }

  #schedule(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const nextMs = this.#hedges?.nextMs;
    if (nextMs === undefined || this.#isOver) return;
    const { clock } = this.#parts;
    this.#cancelTimer = clock.after(Math.max(0, nextMs - clock.nowMs()), () => {
      this.#cancelTimer = undefined;
      if (this.#hedges?.due(clock.nowMs(), this.#parts.canBegin(this.tried)) === true) this.#begin();
      this.#schedule();
    });
  }

  #begin(): void {
    this.#attempts.push(this.#parts.begin(this.#attempts.length));
  }
}
