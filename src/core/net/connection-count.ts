/** How many connections a port has had. */
export interface ConnectionCounts {
  /** Those that were accepted, with those that are open. */
  readonly total: number;
  /** Those that are open. */
  readonly active: number;
  /** Those that were closed at once, for a limit. They are no part of `total`. */
  readonly refused: number;
}

/** The connections of all ports of servers of one name, for metrics. */
export interface ServerConnections {
  open: number;
  /** Those that were closed at once, by the reason. */
  readonly refused: Map<string, number>;
}

/** The connections of this process, by the names of its servers in lower case. */
export const serverConnections = new Map<string, ServerConnections>();

/** Counts the connections of a port. */
export class ConnectionCount implements ConnectionCounts {
  total = 0;
  active = 0;
  refused = 0;
  readonly #all: ServerConnections;

  /** @param server its name, such as `GRPC` */
  constructor(server: string) {
    const name = server.toLowerCase();
    let all = serverConnections.get(name);
    if (all === undefined) {
      all = { open: 0, refused: new Map<string, number>() };
      serverConnections.set(name, all);
    }
    this.#all = all;
  }

  /** A connection was accepted; `closed` follows. */
  opened(): void {
    this.total++;
    this.active++;
    this.#all.open++;
  }

  /** A connection that was accepted is closed. */
  closed(): void {
    this.active--;
    this.#all.open--;
  }

  /** A connection was closed at once. @param reason the limit, such as `max_connections` or `per_ip` */
  refuse(reason: string): void {
    this.refused++;
    this.#all.refused.set(reason, (this.#all.refused.get(reason) ?? 0) + 1);
  }
}

/** The counts of a port that was never bound. */
export const noConnections: ConnectionCounts = Object.freeze({ total: 0, active: 0, refused: 0 });
