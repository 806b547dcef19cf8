/** A live connection in the book of a hub, as the server that carries it sees it. */
export interface BookedConnection {
  /** Bytes of the client have come, or the answer to a ping. */
  seen(): void;
  /** The connection is over. Idempotent: the entry goes once, whatever has ended it. */
  closed(): void;
}
