import type { HttpExchange, RequestHead } from "../http/exchange.ts";
import type { StopReport } from "../../core/lifecycle/lifecycle.ts";
import type { DoorKit } from "./door-kit.ts";
import type { ServedRpcs } from "./served-rpcs.ts";

/**
 * Answers a request that its door claims; false for one that turns out to be none of the door's, of which it has done
 * nothing: the doors behind it are asked. Never throws.
 */
export interface DoorHandler {
  (exchange: HttpExchange): boolean;
  /**
   * As the handler itself, chosen by the head alone, for a request whose answer is sent whole whatever it is; undefined
   * for all others. Default: for no request.
   */
  readonly choose?: (head: RequestHead) => ((exchange: HttpExchange) => void) | undefined;
}

/** A protocol by which calls come in: one file implements it, one line of `doors.ts` lists it. */
export interface Door {
  /** The protocol, for logs and reports. */
  readonly name: string;
  /** Whether it answers while the rpcs are still to come. Default: false; such requests are UNAVAILABLE. */
  readonly needsNoRpcs?: boolean;
  /** Whether a request belongs to this door, by its head alone: a few comparisons, since every request is asked. */
  claims(head: RequestHead): boolean;
  /**
   * Compiles everything that depends on the rpcs, once for each set of them. Its handlers keep no reference to an earlier
   * set.
   *
   * @throws Error when one of the rpcs cannot be served as its rules or options say
   */
  serve(rpcs: ServedRpcs): DoorHandler;
  /** Ends what outlives its exchange, such as WebSockets; resolves when all of it has ended. */
  stop?(graceMs: number): Promise<StopReport>;
  /** Releases what is kept between requests, when all calls have ended. */
  close?(): void;
}

/**
 * Makes the door of one server.
 *
 * @param present gives the rpcs of the present, for connections that outlive a set of them; undefined while they are
 * still to come
 * @throws SetupError naming the option that is wrong
 */
export type MakeDoor = (kit: DoorKit, present: () => ServedRpcs | undefined) => Door;
