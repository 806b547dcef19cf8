/** How many connections a port has had. */
export interface ConnectionCounts {
  /** Those that were accepted, with those that are open. */
  readonly total: number;
  /** Those that are open. */
  readonly active: number;
  /** Those that were closed at once, for a limit. They are no part of `total`. */
  readonly refused: number;
}

/** Counts the connections of a port. */
export class ConnectionCount implements ConnectionCounts {
  total = 0;
  active = 0;
  refused = 0;

  /** A connection was accepted; `closed` follows. */
  opened(): void {
    this.total++;
    this.active++;
  }

  /** A connection that was accepted is closed. */
  closed(): void {
    this.active--;
  }
}

/** The counts of a port that was never bound. */
export const noConnections: ConnectionCounts = Object.freeze({ total: 0, active: 0, refused: 0 });
