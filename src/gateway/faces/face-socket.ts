import type { RequestHead } from "../http/exchange.ts";
import type { CallOrigin } from "./call-group.ts";

/** An open WebSocket at the path of a face. */
export interface FaceSocket {
  /** The subprotocol. */
  readonly protocol: string;
  /** The most operations that may be under way on it. */
  readonly maxCalls: number;
  /**
   * Sends a text. Returns a promise if the client must read something before the next one; it never rejects, also if the
   * client disconnects.
   */
  write(text: string): Promise<void> | undefined;
  /** Sends a close frame behind all texts. Nothing is read from now on. */
  close(code: number, reason: string): void;
}

/** What a face does with one open socket. */
export interface FaceConversation {
  /** Names of the operations under way, one for each. */
  readonly calls: readonly string[];
  /** A text of the client. */
  message(text: string): void;
  /** The client has left, or has closed the socket: what is under way is cancelled. */
  closed(): void;
  /** The server stops: no new operation begins, and the socket closes with 1001 as soon as none is under way. */
  drain(): void;
  /** Shortly before the end of the grace period: streams end with UNAVAILABLE. Returns their names. */
  notify(): readonly string[];
  /** The grace period is over: everything ends with UNAVAILABLE, and the socket closes with 1001. */
  cut(): void;
}

/** Sockets at the path of a face. They outlive contracts: each operation is made with the one of its moment. */
export interface FaceSocketPath {
  /** The subprotocol that clients have to offer. */
  readonly protocol: string;
  /** Lets handshakes in, see `FaceOptions`. */
  readonly guard?: ((head: RequestHead) => boolean | Promise<boolean>) | undefined;
  /** A socket is open. @param origin what is left of its handshake */
  open(socket: FaceSocket, origin: CallOrigin): FaceConversation;
}
