/** What of a stream is looked at. */
interface Closable {
  readonly closed: boolean;
}

/** So many streams are kept before those that are closed are dropped. */
const usual = 64;

/** The open ones of many streams, without a report from each when it closes. */
export class OpenStreams {
  #streams: Closable[] = [];
  #next = usual;

  add(stream: Closable): void {
    this.#streams.push(stream);
    if (this.#streams.length < this.#next) return;
    this.#streams = this.#streams.filter(({ closed }) => !closed);
    this.#next = 2 * this.#streams.length + usual;
  }

  /** Whether any stream is open. */
  get isAnyOpen(): boolean {
    return this.#streams.some(({ closed }) => !closed);
  }
}
