import type { ConnectError } from "../core/errors/errors.ts";
import type { DispatchedEvent } from "./dispatched-event.ts";

/** A try to deliver an event. */
export interface Attempt {
  /** The same for every try of the event for this subscription. */
  readonly deliveryId: string;
  /** From 1 on. */
  readonly number: number;
  /** Ends the try, which is of no consequence then. */
  readonly signal: AbortSignal;
}

/** How a try has ended. */
export type AttemptEnd =
  | { readonly kind: "done"; readonly httpStatus?: number }
  /** Another try may succeed. */
  | {
      readonly kind: "retry";
      readonly error: ConnectError;
      /** What the target asks for, in milliseconds; undefined: the schedule of the target. */
      readonly afterMs?: number | undefined;
      readonly httpStatus?: number;
    }
  | {
      readonly kind: "dead";
      readonly reason: "permanent" | "too-large";
      readonly error: ConnectError;
      readonly httpStatus?: number;
    }
  /** The target wants no more events. */
  | { readonly kind: "gone"; readonly error: ConnectError; readonly httpStatus?: number };

/** What kind of target it is, for metrics. */
export type TargetKind = "rpc" | "webhook" | "topic" | "room";

/** Where the events of a subscription go. */
export interface Target {
  readonly kind: TargetKind;
  /** Tries to deliver an event. Never rejects. */
  deliver(event: DispatchedEvent, attempt: Attempt): Promise<AttemptEnd>;
  /** Lets go of what it has. */
  close(): void;
}

/** When a target is tried again. */
export interface TargetSchedule {
  /** The pauses between tries, in milliseconds; there is one try more. */
  readonly delaysMs: readonly number[];
  /** The same where events of a key wait for one another. */
  readonly orderedDelaysMs: readonly number[];
  /** Tries at once for one subscription. */
  readonly concurrency: number;
  /** The longest time of a try, in milliseconds. */
  readonly timeoutMs: number;
}
