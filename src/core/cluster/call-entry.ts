import type { ConnectError } from "../errors/errors.ts";
import { requestTooLarge } from "../errors/request-too-large.ts";
import type { AttemptedCall } from "../http2/stream-source.ts";
import type { Concurrency, LeavePlace } from "../resilience/concurrency.ts";
import type { CalledRpc } from "./called-rpc.ts";

/** The first step of a call: the size of its request, and a place among the calls under way. */
export class CallEntry {
  readonly #rpc: CalledRpc;
  #leave: LeavePlace | undefined;
  /** Ends the wait for a place. */
  #queued: AbortController | undefined;
  #isOver = false;

  constructor(rpc: CalledRpc) {
    this.#rpc = rpc;
  }

  /** Calls `entered` when the call may go on, now or later, or refuses it. */
  enter(call: AttemptedCall, entered: () => void): void {
    const { maxRequestBytes, limits, method } = this.#rpc;
    const bytes = call.requestBytes ?? 0;
    if (maxRequestBytes !== undefined && bytes > maxRequestBytes) {
      call.refuse(requestTooLarge(method, bytes, maxRequestBytes));
      return;
    }
    const { concurrency } = limits;
    this.#leave = concurrency?.tryEnter();
    if (concurrency === undefined || this.#leave !== undefined) entered();
    else void this.#queue(call, concurrency, entered);
  }

  /** The call has ended while it may be waiting. */
  giveUp(reason: ConnectError): void {
    this.#isOver = true;
    this.#queued?.abort(reason);
  }

  /** Gives the place back. Idempotent. */
  leave(): void {
    this.#isOver = true;
    this.#leave?.();
  }

  async #queue(call: AttemptedCall, concurrency: Concurrency, entered: () => void): Promise<void> {
    const { name, books, clock } = this.#rpc.share;
    const sinceMs = clock.nowMs();
    this.#queued = new AbortController();
    try {
      const leave = await concurrency.enter(this.#queued.signal);
      if (this.#isOver) {
        leave();
        return;
      }
      this.#leave = leave;
    } catch (error) {
      if (this.#isOver) return;
      books.rejected(name, "concurrency");
      call.refuse(error as ConnectError); // `enter` throws nothing else.
      return;
    } finally {
      this.#queued = undefined;
    }
    books.waited(name, clock.nowMs() - sinceMs);
    entered();
  }
}
