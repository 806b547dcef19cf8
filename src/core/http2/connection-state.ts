import type { ConnectError } from "../errors/errors.ts";
import type { Session } from "./session.ts";

/** The state of a connection. */
export type State =
  | { readonly kind: "idle" }
  | Connecting
  | { readonly kind: "ready"; readonly session: Session }
  | TransientFailure
  | { readonly kind: "closed" };

/** An attempt. */
export interface Connecting {
  readonly kind: "connecting";
  readonly controller: AbortController;
}

/** The pause after an attempt that failed. */
export interface TransientFailure {
  readonly kind: "transient-failure";
  readonly error: ConnectError;
  /** Whether calls shorten the pause: not if the server can be reached and ends its connections. */
  readonly hasty: boolean;
  /** When the attempt ended, and when the next one begins, by the clock of the connection. */
  readonly since: number;
  until: number;
  /** Whether the process stays alive for the next attempt. */
  isHeld: boolean;
  /** Cancels the next attempt. */
  cancel: () => void;
}

/** Decides when a connection is made again, in place of the connection itself. */
export interface ConnectionOwner {
  /** Label of metrics, in place of the address. */
  readonly upstream: string;
  /** The state has changed. A connection that is lost, or whose pause after a failure is over, is idle. */
  changed(): void;
  /** A further stream can be opened. */
  roomMade(): void;
  /** A connection that had few streams left was replaced by another one. */
  replaced(): void;
}

/** How long a connection of an owner must have lasted before its failures are forgotten, in milliseconds. */
export const steadyMs = 5_000;

/** The state before the first attempt, and between a lost connection and the next attempt. */
export const idle: State = Object.freeze({ kind: "idle" });

/** The final state. */
export const closed: State = Object.freeze({ kind: "closed" });
