/** What a subscription holds of a broker. */
export interface LedgerLimits {
  /** Most bytes of messages that wait; beyond it nothing is fetched until half of it is free. */
  readonly maxBufferedBytes: number;
}

/** A delivery, as the ledger sees it. */
export interface Booked {
  /** What waits of it, in bytes; below 0 while it does not. Only the ledger writes it. */
  waitingBytes: number;
}

/** The followers of a run that has none. */
const none: readonly never[] = [];

/**
 * The books of a subscription: what was delivered and is not settled, how much of it waits, and which messages run, so
 * that none runs twice at once.
 *
 * A message that comes again while its run is under way waits for that run, and takes its outcome.
 */
export class SettleLedger<D extends Booked> {
  readonly #limits: LedgerLimits;
  #waiting = 0;
  readonly #running = new Map<string, readonly D[]>();
  #bytes = 0;
  #unsettled = 0;
  #isFull = false;

  constructor(limits: LedgerLimits) {
    this.#limits = limits;
  }

  /** How many deliveries are not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** How many of them wait. */
  get buffered(): number {
    return this.#waiting;
  }

  get bufferedBytes(): number {
    return this.#bytes;
  }

  /** Whether so much waits that nothing more is to be fetched. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** A delivery has come, and waits. */
  received(delivery: D, bytes: number): void {
    this.#unsettled++;
    this.waits(delivery, bytes);
  }

  /** A delivery whose run has ended waits for another one. */
  waits(delivery: D, bytes: number): void {
    if (delivery.waitingBytes >= 0) return;
    delivery.waitingBytes = bytes;
    this.#waiting++;
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.maxBufferedBytes) this.#isFull = true;
  }

  /**
   * The run of a delivery is about to begin.
   *
   * @param identity the same for all deliveries of a message; undefined for one that has none
   * @returns false where a run of the message is under way: the delivery is kept until that has ended
   */
  begin(delivery: D, identity: string | undefined): boolean {
    this.#leaveBuffer(delivery);
    if (identity === undefined) return true;
    const followers = this.#running.get(identity);
    this.#running.set(identity, followers === undefined ? none : [...followers, delivery]);
    return followers === undefined;
  }

  /** The run of a message has ended. @returns the deliveries that have waited for it */
  end(identity: string | undefined): readonly D[] {
    if (identity === undefined) return none;
    const followers = this.#running.get(identity) ?? none;
    this.#running.delete(identity);
    return followers;
  }

  /** A delivery is settled, released or lost. */
  gone(delivery: D): void {
    this.#unsettled--;
    this.#leaveBuffer(delivery);
  }

  #leaveBuffer(delivery: D): void {
    const { waitingBytes } = delivery;
    if (waitingBytes < 0) return;
    delivery.waitingBytes = -1;
    this.#waiting--;
    this.#bytes -= waitingBytes;
    if (this.#bytes <= this.#limits.maxBufferedBytes / 2) this.#isFull = false;
  }
}
