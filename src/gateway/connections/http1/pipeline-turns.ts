/** How many requests are begun in one turn of the event loop at most: no more than a few milliseconds of work. */
const batch = 16;

/**
 * Lets connections that pipeline take turns with all others: a request that has waited behind another one of its
 * connection begins in a later turn of the event loop, so that whatever else has come in is looked at in between.
 */
export class PipelineTurns<Connection> {
  readonly #begin: (connection: Connection) => void;
  #queue: Connection[] = [];
  #scheduled = false;

  /** @param begin Begins the next request of a connection. */
  constructor(begin: (connection: Connection) => void) {
    this.#begin = begin;
  }

  /** The next request of `connection`, which is not in the queue, begins soon. */
  add(connection: Connection): void {
    this.#queue.push(connection);
    this.#schedule();
  }

  /** Begins all of them now. */
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
