/** The state of one run: numbers of calls in flight and answered, and its end. */
export class LoadRound {
  readonly done: Promise<number>;
  readonly fail: (error: Error) => void;
  readonly #finish: (calls: number) => void;
  readonly #end: number;
  readonly #calls: number;
  #begun = 0;
  #answered = 0;

  constructor(ms: number, calls: number) {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.done = promise;
    this.fail = reject;
    this.#finish = resolve;
    this.#end = performance.now() + ms;
    this.#calls = calls;
  }

  /** Whether one more call may begin; counts it. */
  begin(): boolean {
    if (this.#begun >= this.#calls || performance.now() >= this.#end) return false;
    this.#begun++;
    return true;
  }

  /** Counts an answered call; returns whether another one may begin. */
  again(): boolean {
    this.#answered++;
    if (this.begin()) return true;
    if (this.#answered === this.#begun) this.#finish(this.#answered);
    return false;
  }
}
