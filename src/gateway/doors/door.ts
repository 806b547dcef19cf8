import type { HttpExchange, RequestHead } from "../http/exchange.ts";
import type { StopReport } from "../../core/lifecycle/lifecycle.ts";
import type { DoorKit } from "./door-kit.ts";
import type { ServedRpcs } from "./served-rpcs.ts";

/**
 * Answers a request that its door claims. Returns false, without any effect, for a request that does not belong to the
 * door after all: the next door that claims it gets it. Never throws.
 */
export interface DoorHandler {
  (exchange: HttpExchange): boolean;
  /**
   * As the handler itself, chosen by the head alone, for a request whose answer is sent whole whatever it is; undefined
   * for all others. Default: for no request.
   */
  readonly choose?: (head: RequestHead) => ((exchange: HttpExchange) => void) | undefined;
}

/** A protocol for incoming calls: one file implements it, one line of `doors.ts` lists it. */
export interface Door {
  /** The protocol, for logs and reports. */
  readonly name: string;
  /** Whether it answers before the rpcs are loaded. Default: false; such requests are UNAVAILABLE. */
  readonly needsNoRpcs?: boolean;
  /**
   * Whether a request belongs to this door, by its head alone. Called for every request, so that it may cost a few
   * comparisons only.
   */
  claims(head: RequestHead): boolean;
  /**
   * Compiles everything that depends on the rpcs, once for each set of them. The handler keeps no reference to an
   * earlier set.
   *
   * @throws Error when one of the rpcs cannot be served with its rules or options
   */
  serve(rpcs: ServedRpcs): DoorHandler;
  /**
   * The server stops: ends connections that outlive their exchange, such as WebSockets, and answers what only waits;
   * resolves when all of those connections are closed.
   */
  stop?(graceMs: number): Promise<StopReport>;
  /** Releases state that is kept between requests, when all calls have ended. */
  close?(): void;
}

/**
 * Makes the door of one server.
 *
 * @param current returns the current rpcs, for connections that outlive a set of them; undefined before they are loaded
 * @throws SetupError naming the option that is wrong
 */
export type MakeDoor = (kit: DoorKit, current: () => ServedRpcs | undefined) => Door;
