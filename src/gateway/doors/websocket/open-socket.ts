/** What the server knows of an open WebSocket, whatever is spoken on it. */
export interface OpenSocket {
  /** Names of the rpcs of the calls under way, one for each call. */
  readonly calls: readonly string[];
  /** The server stops: begin nothing new, and close with 1001 as soon as no call is under way. */
  leave(): void;
  /**
   * Shortly before the end of the grace: ends the streams of replies under way with UNAVAILABLE, and closes with 1001
   * when no call is left. Returns the names of their rpcs.
   */
  notify(): readonly string[];
  /** The grace is over: end the calls under way with UNAVAILABLE, and close with 1001. */
  cut(): void;
}
