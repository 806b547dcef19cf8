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
  /** Undefined for bytes that were not joined. */
  readonly #parts: Parts | undefined;
  /** Until the end of the turn, as it would be kept as long as this is. */
  #turn: Turn | undefined;

  private constructor(length: number, bytes: Buffer | undefined, parts: Parts | undefined) {
    this.length = length;
    this.#bytes = bytes;
    this.#parts = parts;
  }

  /** @param bytes they must not change any more */
  static of(bytes: Buffer): SharedBytes {
    return new SharedBytes(bytes.length, bytes, undefined);
  }

  /** The bytes of a text, which are no part of a larger buffer: it would be kept as long as they are. */
  static ofText(text: string): SharedBytes {
    const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
    bytes.write(text);
    return SharedBytes.of(bytes);
  }

  /** These bytes, and others behind them: the same object for everybody in a turn of the event loop. */
  followedBy(next: SharedBytes): SharedBytes {
    const turn = this.#remembered();
    if (turn.next === next && turn.joined !== undefined) return turn.joined;
    turn.next = next;
    turn.joined = new SharedBytes(this.length + next.length, undefined, { before: this, last: next });
    return turn.joined;
  }

  /** They must not be changed. */
  get bytes(): Buffer {
    return (this.#bytes ??= Buffer.concat(this.#pieces(), this.length));
  }

  /** What is made of them, once for everybody in a turn of the event loop. @param make the same function for all */
  made(make: MakeBytes): Buffer {
    const turn = this.#remembered();
    if (turn.make === make && turn.made !== undefined) return turn.made;
    turn.make = make;
    return (turn.made = make(this.bytes));
  }

  /** Of what it was joined, as far as that is not joined already. */
  #pieces(): Buffer[] {
    const pieces: Buffer[] = [];
    for (let parts = this.#parts; parts !== undefined; parts = parts.before.#parts) {
      pieces.push(parts.last.bytes);
      if (parts.before.#bytes === undefined) continue;
      pieces.push(parts.before.#bytes);
      break;
    }
    return pieces.reverse();
  }

  #remembered(): Turn {
    if (this.#turn !== undefined) return this.#turn;
    if (remembered.push(this) === 1) setImmediate(SharedBytes.#forgetAll);
    return (this.#turn = { next: undefined, joined: undefined, make: undefined, made: undefined });
  }

  static #forgetAll(this: void): void {
    const all = remembered;
    remembered = [];
    for (const one of all) one.#turn = undefined;
  }
}

/** Of what bytes were joined. */
interface Parts {
  readonly before: SharedBytes;
  readonly last: SharedBytes;
}

/** What a turn of the event loop has made of bytes. */
interface Turn {
  /** What follows, and both joined. */
  next: SharedBytes | undefined;
  joined: SharedBytes | undefined;
  /** What was made last, and by which function. */
  make: MakeBytes | undefined;
  made: Buffer | undefined;
}
