/** What a reader waits at while its subscription is paused. */
export class Gate {
  #open: (() => void) | undefined;
  #opened: Promise<void> | undefined;

  pause(): void {
    this.#opened ??= new Promise((resolve) => (this.#open = resolve));
  }

  resume(): void {
    this.#open?.();
    this.#opened = undefined;
  }

  /** Undefined while it is open, so that a reader need not wait for a turn. */
  get opened(): Promise<void> | undefined {
    return this.#opened;
  }
}
