import type { IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import type { CallContext } from "../../call/context.ts";
import type { FieldList, ReplyFields, ServerStreamListener, WholeReply } from "../../http2/server-stream.ts";
import type { PeerIdentity } from "../../metadata/peer-identity.ts";

export type { FieldList, ReplyFields, ServerStreamListener, WholeReply };

/** The HTTP/2 stream of a call, whichever engine carries it. A `ServerStream` of our own engine is one. */
export interface CallStream {
  /** Whether the stream is over: nothing that is sent reaches the client. */
  readonly closed: boolean;
  /** Reports to `listener` from now on, what has come already first. */
  listen(listener: ServerStreamListener): void;
  /** Sends headers, which end the reply where nothing follows. */
  respond(head: ReplyFields, ends: boolean): void;
  /** Sends bytes, which must not change any more. @returns false if the caller should wait for `onDrain` */
  write(bytes: Uint8Array): boolean;
  /**
   * Sends bytes in two pieces, as `write` does.
   *
   * @param prefix May change after the call.
   */
  writeBehind(prefix: Uint8Array, bytes: Uint8Array): boolean;
  /** Ends the reply, after a last chunk and with trailers if there are any. */
  end(bytes?: Uint8Array, trailers?: ReplyFields): void;
  /** Sends a whole reply: instead of `respond` and `end`. */
  reply(reply: WholeReply): void;
  /** Ends the stream at once, with an HTTP/2 error code. */
  reset(code: number): void;
  /** Bytes of the request are used: the client may send as many more. */
  use(bytes: number): void;
  /** A handler begins to run for the stream: its place stays taken until `settled`, even if the stream is closed before. */
  keepPlace(): void;
  /** The handler has settled. */
  settled(): void;
}

/** The connection of a client. */
export interface ClientConnection {
  /** The verified identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** The connection, after the handshake of TLS if there was one. */
  readonly socket: Duplex;
}

/** The head of a request. */
export interface CallHead {
  /** Fields as Node has them, pseudo fields among them. */
  readonly fields: IncomingHttpHeaders;
  /** Names and values as they came, by turns. */
  readonly rawFields: readonly string[];
}

/** A request whose head is good. */
export interface CallRequest {
  readonly headers: IncomingHttpHeaders;
  /** The `grpc-timeout` in milliseconds; undefined for none. */
  readonly timeoutMs: number | undefined;
  /** The verified identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** The context of a call that gates have admitted; undefined where it is still to be made. */
  readonly context: CallContext | undefined;
}
