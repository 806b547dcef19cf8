import type { ConnectError } from "../../../core/errors/errors.ts";

/** An open WebSocket, for stopping the server and for hubs. */
export interface OpenSocket {
  /** Names of the rpcs of the calls in flight, one for each call. */
  readonly calls: readonly string[];
  /** The server stops: begins no new call, and closes with 1001 as soon as no call is in flight. */
  drain(): void;
  /**
   * Shortly before the end of the grace period: ends the streams of replies in flight with UNAVAILABLE, and closes with
   * 1001 when no call remains. Returns the names of their rpcs.
   */
  notify(): readonly string[];
  /** The grace period is over: ends all calls in flight with UNAVAILABLE, and closes with 1001. */
  cut(): void;
  /** Ends all calls in flight with this error, and closes with its code. */
  end(error: ConnectError): void;
}
