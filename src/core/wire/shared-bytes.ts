/** Makes other bytes of some. */
export type MakeBytes = (bytes: Buffer) => Buffer;

/** What was remembered in this turn of the event loop. */
let remembered: SharedBytes[] = [];

/**
 * Bytes that many connections are sent. What one turn of the event loop sends is joined once for all connections that are
 * sent the same: each of them holds a place in a tree of joined bytes, and no list of its own.
 */
export class SharedBytes {
  readonly length: number;
  #bytes: Buffer | undefined;
  /** What it was joined of; undefined for bytes that were not. */
  readonly #before: SharedBytes | undefined;
  readonly #last: SharedBytes | undefined;
  /** What follows, and both joined: until the end of the turn, as it would be kept as long as this is. */
  #next: SharedBytes | undefined;
  #joined: SharedBytes | undefined;
  /** What was made of it last, until the end of the turn. */
  #make: MakeBytes | undefined;
  #made: Buffer | undefined;
  #isRemembered = false;

  private constructor(
    length: number,
    bytes: Buffer | undefined,
    before: SharedBytes | undefined,
    last: SharedBytes | undefined,
  ) {
    this.length = length;
    this.#bytes = bytes;
    this.#before = before;
    this.#last = last;
  }

  /** @param bytes they must not change any more */
  static of(bytes: Buffer): SharedBytes {
    return new SharedBytes(bytes.length, bytes, undefined, undefined);
  }

  /** The bytes of a text, which are no part of a larger buffer: it would be kept as long as they are. */
  static ofText(text: string): SharedBytes {
    const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
    bytes.write(text);
    return SharedBytes.of(bytes);
  }

  /** These bytes, and others behind them: the same object for everybody in a turn of the event loop. */
  followedBy(next: SharedBytes): SharedBytes {
    if (this.#next === next && this.#joined !== undefined) return this.#joined;
    const joined = new SharedBytes(this.length + next.length, undefined, this, next);
    this.#next = next;
    this.#joined = joined;
    this.#remember();
    return joined;
  }

  /** They must not be changed. */
  get bytes(): Buffer {
    return (this.#bytes ??= Buffer.concat(this.#pieces(), this.length));
  }

  /** What is made of them, once for everybody in a turn of the event loop. @param make the same function for all */
  made(make: MakeBytes): Buffer {
    if (this.#make === make && this.#made !== undefined) return this.#made;
    this.#make = make;
    this.#remember();
    return (this.#made = make(this.bytes));
  }

  /** Of what it was joined, as far as that is not joined already. */
  #pieces(): Buffer[] {
    const pieces: Buffer[] = [];
    let last = this.#last;
    let before = this.#before;
    while (last !== undefined && before !== undefined) {
      pieces.push(last.bytes);
      if (before.#bytes !== undefined) {
        pieces.push(before.#bytes);
        break;
      }
      last = before.#last;
      before = before.#before;
    }
    return pieces.reverse();
  }

  #remember(): void {
    if (this.#isRemembered) return;
    this.#isRemembered = true;
    if (remembered.push(this) === 1) setImmediate(SharedBytes.#forgetAll);
  }

  static #forgetAll(this: void): void {
    const all = remembered;
    remembered = [];
    for (const one of all) {
      one.#isRemembered = false;
      one.#next = one.#joined = one.#make = one.#made = undefined;
    }
  }
}
