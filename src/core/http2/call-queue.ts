import type { ConnectError } from "../errors/errors.ts";
import type { UpstreamCounts } from "./http2-counts.ts";
import type { Session } from "./session.ts";

/** A call that needs a stream. */
export interface Opener {
  /** Opens a stream on `session`, which has capacity for it. */
  open(session: Session, authority: string): void;
  /** The call gets no stream. Several calls may share the same error object. */
  refuse(error: ConnectError): void;
}

/** Calls that wait for a stream, the oldest first. */
export class CallQueue {
  readonly #most: number;
  readonly #calls = new Set<Opener>();
  #counts: UpstreamCounts | undefined;

  /** @param most How many calls may wait. */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Where waiting calls are counted from now on. */
  countIn(counts: UpstreamCounts): void {
    if (this.#counts === counts) return;
    if (this.#counts !== undefined) this.#counts.queued -= this.size;
    this.#counts = counts;
    counts.queued += this.size;
  }

  /** Adds a call at the end. @returns false if as many calls wait as may */
  add(call: Opener): boolean {
    if (this.size >= this.#most) return false;
    this.#calls.add(call);
    if (this.#counts !== undefined) this.#counts.queued++;
    return true;
  }

  /** The call waits no more. */
  delete(call: Opener): void {
    if (this.#calls.delete(call) && this.#counts !== undefined) this.#counts.queued--;
  }

  /** The oldest call, which stays; undefined for none. */
  get first(): Opener | undefined {
    for (const call of this.#calls) return call;
    return undefined;
  }

  /** Refuses all calls that wait. */
  refuse(error: ConnectError): void {
    const calls = [...this.#calls];
    for (const call of calls) this.delete(call);
    for (const call of calls) call.refuse(error);
  }
}
