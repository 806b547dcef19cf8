import type { CallContext } from "../core/call/context.ts";
import type { ConnectError } from "../core/errors/errors.ts";
import { Timed } from "./deadlines.ts";

/** What hears that a wait has ended. */
export interface WaitListener {
  handleEvent(): void;
}

/** The end of a wait as what waits needs it: an `AbortSignal` is one, and a `Wait`, which costs less. */
export interface WaitEnd {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: WaitListener): void;
  removeEventListener(type: "abort", listener: WaitListener): void;
}

/** What may take back what is waited for: the signal of a caller, or the call that it is part of. */
export type WaitCaller = AbortSignal | Pick<CallContext, "reason" | "onAbort">;

/**
 * A wait that ends by its time, or by its caller. Nothing of an `AbortSignal` is made until `signal` is read, which
 * other code than ours needs.
 */
export abstract class Wait extends Timed implements WaitEnd {
  #controller: AbortController | undefined;
  #reason: ConnectError | undefined;
  #listeners: WaitListener[] | undefined;
  #callerSignal: AbortSignal | undefined;
  #unfollow: (() => void) | undefined;

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  get reason(): ConnectError | undefined {
    return this.#reason;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  addEventListener(_type: "abort", listener: WaitListener): void {
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: WaitListener): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.#listeners?.splice(at, 1);
  }

  /** It ends with the caller, from now on until `unfollow`. */
  protected follow(caller: WaitCaller | undefined): void {
    if (caller === undefined) return;
    if ("onAbort" in caller) {
      this.#unfollow = caller.onAbort((reason) => this.takenBack(reason));
    } else if (caller.aborted) this.takenBack(caller.reason);
    else {
      this.#callerSignal = caller;
      caller.addEventListener("abort", this);
    }
  }

  protected unfollow(): void {
    this.#unfollow?.();
    this.#callerSignal?.removeEventListener("abort", this);
    this.#unfollow = this.#callerSignal = undefined;
  }

  /** The signal of its caller has fired. */
  handleEvent(): void {
    this.takenBack(this.#callerSignal?.reason);
  }

  /** The wait is over. Only the first reason counts. */
  protected abort(reason: ConnectError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener.handleEvent();
  }

  /** The caller waits no more. @param reason what its signal or its call says of that */
  protected abstract takenBack(reason: unknown): void;
}

/** The end of the wait that options of a broker have, by what costs least. */
export function waitEndOf(options: { readonly signal: AbortSignal }): WaitEnd {
  return options instanceof Wait ? options : options.signal;
}
