/** What the server knows of an open WebSocket, whatever is spoken on it. */
export interface OpenSocket {
  /** Names of the rpcs of the calls under way, one for each call. */
  readonly calls: readonly string[];
  /** The server stops: begin nothing new, and close with 1001 as soon as no call is under way. */
  leave(): void;
  /** The grace is over: end the calls under way with UNAVAILABLE, and close with 1001. */
  cut(): void;
}
