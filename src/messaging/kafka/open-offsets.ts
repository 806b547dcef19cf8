/** A message of a partition that was handed over. */
export interface OpenOffset {
  readonly offset: number;
  /** Whether it is settled. */
  isDone: boolean;
}

/** Begins what is kept with a committed offset: which of the following messages are settled too. */
const mark = "ts-ms:";

/**
 * The messages of a partition that were handed over, from the first one on that is not settled. Kafka keeps one offset
 * of each group and partition; what is settled behind it is kept with it as bits, so that it is not handled again.
 */
export class OpenOffsets<T extends OpenOffset> {
  #entries: T[] = [];
  #head = 0;
  #unsettled = 0;
  /** Behind everything that was handed over or skipped. */
  #end: number;

  constructor(from: number) {
    this.#end = from;
  }

  /** The first offset that is not settled; nothing below it is read again. */
  get floor(): number {
    return this.#entries[this.#head]?.offset ?? this.#end;
  }

  /** How many are not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** A message is handed over, or was settled by another reader before. */
  add(entry: T): void {
    this.#end = entry.offset + 1;
    if (entry.isDone && this.#head === this.#entries.length) return;
    this.#entries.push(entry);
    if (!entry.isDone) this.#unsettled++;
  }

  /** There is no message below an offset any more that was not handed over. */
  passed(end: number): void {
    this.#end = Math.max(this.#end, end);
  }

  settle(entry: T): void {
    if (entry.isDone) return;
    entry.isDone = true;
    this.#unsettled--;
    while (this.#entries[this.#head]?.isDone === true) this.#head++;
    if (this.#head < 1_000 && this.#head < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }

  /** Those that are not settled, in order. */
  get open(): readonly T[] {
    return this.#entries.slice(this.#head).filter(({ isDone }) => !isDone);
  }

  /** What is kept with `floor`: what is settled behind it. Empty for nothing. */
  get metadata(): string {
    const { floor } = this;
    const done = this.#entries.slice(this.#head).filter(({ isDone }) => isDone);
    const last = done.at(-1);
    if (last === undefined) return "";
    const bits = new Uint8Array(Math.ceil((last.offset - floor + 1) / 8));
    for (const { offset } of done) {
      const at = offset - floor;
      bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
    }
    return mark + Buffer.from(bits).toString("base64");
  }
}

/** The offsets that `metadata` says are settled. @param floor the committed offset */
export function settledBehind(floor: number, metadata: string): ReadonlySet<number> {
  const settled = new Set<number>();
  if (!metadata.startsWith(mark)) return settled;
  for (const [index, byte] of Buffer.from(metadata.slice(mark.length), "base64").entries()) {
    for (let bit = 0; bit < 8; bit++) {
      if ((byte & (1 << bit)) !== 0) settled.add(floor + index * 8 + bit);
    }
  }
  return settled;
}
