/** The most requests that begin in one turn of the event loop: a few milliseconds of work. */
const batch = 16;

/**
 * Gives all connections a share of the event loop: a pipelined request that has waited for another one of its
 * connection begins in a later turn, so that events of other connections are handled in between.
 */
export class PipelineTurns<Connection> {
  readonly #begin: (connection: Connection) => void;
  #queue: Connection[] = [];
  #scheduled = false;

  /** @param begin Begins the next request of a connection. */
  constructor(begin: (connection: Connection) => void) {
    this.#begin = begin;
  }

  /** Queues `connection`, which must not be in the queue: its next request begins in a later turn. */
  add(connection: Connection): void {
    this.#queue.push(connection);
    this.#schedule();
  }

  /** Begins all queued requests now. */
  flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const connection of queue) this.#begin(connection);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#scheduled = false;
    const now = this.#queue;
    this.#queue = now.splice(batch);
    if (this.#queue.length > 0) this.#schedule();
    for (const connection of now) this.#begin(connection);
  };
}
