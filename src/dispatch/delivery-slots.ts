/** How many deliveries of webhooks run at once in this process. Those to targets that fail get half of them at the most. */
export class DeliverySlots {
  readonly #most: number;
  readonly #mostFailing: number;
  readonly #waiting: { readonly isFailing: boolean; readonly go: () => void }[] = [];
  #used = 0;
  #usedByFailing = 0;

  constructor(most: number) {
    this.#most = most;
    this.#mostFailing = Math.max(1, Math.floor(most / 2));
  }

  /** Resolves when a slot is free, with what gives it back. @throws the reason of the signal */
  async take(isFailing: boolean, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (!this.#fits(isFailing)) await this.#wait(isFailing, signal);
    else this.#use(isFailing);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#giveBack(isFailing);
    };
  }

  #wait(isFailing: boolean, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      const place = this.#waiting.indexOf(entry);
      if (place >= 0) this.#waiting.splice(place, 1);
      reject(signal.reason);
    };
    const entry = {
      isFailing,
      go: () => {
        signal.removeEventListener("abort", leave);
        resolve();
      },
    };
    signal.addEventListener("abort", leave, { once: true });
    this.#waiting.push(entry);
    return promise;
  }

  #fits(isFailing: boolean): boolean {
    return this.#used < this.#most && (!isFailing || this.#usedByFailing < this.#mostFailing);
  }

  #use(isFailing: boolean): void {
    this.#used++;
    if (isFailing) this.#usedByFailing++;
  }

  #giveBack(isFailing: boolean): void {
    this.#used--;
    if (isFailing) this.#usedByFailing--;
    for (;;) {
      const place = this.#waiting.findIndex((entry) => this.#fits(entry.isFailing));
      const [next] = place < 0 ? [] : this.#waiting.splice(place, 1);
      if (next === undefined) return;
      this.#use(next.isFailing);
      next.go();
    }
  }
}
