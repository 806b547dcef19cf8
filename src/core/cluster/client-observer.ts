import type { DescMethod } from "@bufbuild/protobuf";
import type { BreakerState } from "../resilience/breaker.ts";
import type { AttemptKind } from "./client-books.ts";
import type { EndpointState } from "./endpoint.ts";

/** One attempt of a call that has ended. */
export interface FinishedAttempt {
  /** The address of the endpoint. */
  readonly endpoint: string;
  readonly kind: AttemptKind;
  /** 0 for OK. */
  readonly code: number;
  readonly durationMs: number;
}

/** A call that has ended. */
export interface FinishedCall {
  /** The name of the target. */
  readonly upstream: string;
  readonly method: DescMethod;
  /** 0 for OK. */
  readonly code: number;
  /** With all attempts, and the time before the first one. */
  readonly durationMs: number;
  /** Time before the first attempt; of a call without attempts all of it. */
  readonly queuedMs: number;
  /** In the order in which they have ended. */
  readonly attempts: readonly FinishedAttempt[];
}

/** An endpoint has another state. */
export interface EndpointEvent {
  readonly upstream: string;
  /** Its address. */
  readonly endpoint: string;
  readonly state: EndpointState;
  readonly before: EndpointState;
}

/** A circuit breaker has another state. */
export interface BreakerEvent {
  readonly upstream: string;
  /** What it is of: an rpc, `target` or `endpoint`. */
  readonly breaker: string;
  readonly state: BreakerState;
}

/**
 * Called with what clients of targets with endpoints, or with policies, do. An exception becomes a warning of the
 * process and does not affect the call.
 */
export interface ClientObserver {
  callFinished?(call: FinishedCall): void;
  endpointChanged?(event: EndpointEvent): void;
  breakerChanged?(event: BreakerEvent): void;
}

/** The attempts of one call, for observers. */
export class CallRecord {
  readonly attempts: FinishedAttempt[] = [];
  /** When the first attempt began. */
  firstMs: number | undefined;
}
