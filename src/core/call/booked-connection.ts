import type { HandlerContext } from "@connectrpc/connect";

/** A call under way whose client shows other credentials. */
export interface RenewedCall {
  readonly call: HandlerContext;
  /** A call of the same rpc with the other credentials, which the gates have admitted. It is only looked at. */
  readonly shown: HandlerContext;
}

/** A live connection in the book of a hub, as the server that carries it sees it. */
export interface BookedConnection {
  /** The client has said hello: it understands the frames of rooms. @param client what it calls itself; may be empty */
  greeted(client: string): void;
  /**
   * The client has handled a message that was to be confirmed.
   *
   * @param token of the message's header `ts-ms-confirm`
   * @returns false for a call that reads no rooms
   */
  confirmed(call: HandlerContext, token: string): boolean;
  /** When the identity of one of its calls ends, in milliseconds since 1970; undefined for never. */
  endsAtMs(call: HandlerContext): number | undefined;
  /**
   * Calls go on with other credentials of the same user, all of them or none.
   *
   * @throws ConnectError PERMISSION_DENIED for those of another user, or what refuses the user now
   */
  renew(calls: readonly RenewedCall[]): Promise<void>;
  /** Bytes of the client have come, or the answer to a ping. */
  seen(): void;
  /** The connection is over. Idempotent: the entry goes once, whatever has ended it. */
  closed(): void;
}
