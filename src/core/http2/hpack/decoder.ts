import { CompressionError } from "./compression-error.ts";
import { DynamicTable } from "./dynamic-table.ts";
import { decodeHuffman } from "./huffman.ts";
import { defaultTableBytes, fieldOverhead, firstDynamicIndex, staticTable } from "./static-table.ts";

/** Called with a field; its name and value have a character for each byte. */
export type TakeField = (name: string, value: string) => void;

/** The largest integer that is taken, far above every limit. */
const largest = 2 ** 31 - 1;

const nothing = Buffer.alloc(0);

/** Decodes the header blocks of one connection (RFC 7541). */
export class HpackDecoder {
  readonly #table: DynamicTable;
  /** The largest size of the table that the peer may choose, in bytes. */
  readonly #mostTableBytes: number;
  readonly #maxListBytes: number;
  #version = 0;
  #listBytes = 0;
  #bytes: Buffer = nothing;
  #at = 0;
  #end = 0;

  /**
   * @param maxListBytes Size of a list up to which its fields are passed on, each with 32 bytes beside name and value.
   * @param tableBytes The SETTINGS_HEADER_TABLE_SIZE that was announced to the peer.
   */
  constructor(maxListBytes: number, tableBytes: number = defaultTableBytes) {
    this.#maxListBytes = maxListBytes;
    this.#mostTableBytes = tableBytes;
    this.#table = new DynamicTable(defaultTableBytes);
    if (tableBytes < defaultTableBytes) this.#table.resize(tableBytes);
  }

  /** Grows with every change of the table: a block that was decoded without one means the same until the next one. */
  get version(): number {
    return this.#version;
  }

  /** The size of the table, in bytes. */
  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** Size of the last list, in bytes. */
  get listBytes(): number {
    return this.#listBytes;
  }

  /** Whether the last list was larger than the limit: fields beyond it were decoded for the table and dropped. */
  get tooLarge(): boolean {
    return this.#listBytes > this.#maxListBytes;
  }

  /**
   * Decodes the block `bytes[start, end)`.
   *
   * @throws CompressionError for bytes that are no block; the decoder cannot be used any more.
   */
  decode(bytes: Buffer, start: number, end: number, take: TakeField): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#listBytes = 0;
    let resizes = 0;
    let fields = 0;
    while (this.#at < end) {
      const first = bytes[this.#at] ?? 0;
      if (first >= 0x80) {
        this.#indexed(take);
      } else if (first >= 0x40) {
        this.#literal(6, true, take);
      } else if (first >= 0x20) {
        if (fields > 0) throw new CompressionError("a size update behind a field");
        if (++resizes > 2) throw new CompressionError("more than two size updates in a block");
        this.#resize();
        continue;
      } else {
        this.#literal(4, false, take); // Never-indexed fields matter only to a proxy that encodes them again.
      }
      fields++;
    }
    this.#bytes = nothing; // The block may be a view of a buffer that is used again.
  }

  #indexed(take: TakeField): void {
    const index = this.#integer(7);
    const { name, value } = this.#fieldAt(index);
    this.#pass(name, value, take);
  }

  #literal(prefix: 4 | 6, adds: boolean, take: TakeField): void {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#fieldAt(index).name;
    const value = this.#string();
    if (adds) {
      this.#table.add({ name, value });
      this.#version++;
    }
    this.#pass(name, value, take);
  }

  #resize(): void {
    const bytes = this.#integer(5);
    if (bytes > this.#mostTableBytes) throw new CompressionError(`a table of ${bytes} bytes`);
    this.#table.resize(bytes);
    this.#version++;
  }

  #pass(name: string, value: string, take: TakeField): void {
    this.#listBytes += name.length + value.length + fieldOverhead;
    if (this.#listBytes <= this.#maxListBytes) take(name, value);
  }

  #fieldAt(index: number) {
    const field =
      index < firstDynamicIndex ? staticTable[index - 1] : this.#table.at(index - firstDynamicIndex);
    if (field === undefined) throw new CompressionError(`no field has the index ${index}`);
    return field;
  }

  #string(): string {
    const isHuffman = (this.#byteAt(this.#at) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw breaksOff();
    this.#at = end;
    if (isHuffman) return decodeHuffman(this.#bytes, start, end);
    return textOf(this.#bytes, start, end);
  }

  /** An integer whose first byte has `prefix` bits for it (RFC 7541 5.1). */
  #integer(prefix: 4 | 5 | 6 | 7): number {
    const mask = (1 << prefix) - 1;
    let value = this.#byteAt(this.#at++) & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#byteAt(this.#at++);
      // Not by shifting, which would wrap around.
      value += (byte & 0x7f) * 2 ** shift;
      if (value > largest || shift > 28) throw new CompressionError("an integer above 2^31 - 1");
      if (byte < 0x80) return value;
    }
  }

  #byteAt(at: number): number {
    if (at >= this.#end) throw breaksOff();
    return this.#bytes[at] ?? 0;
  }
}

/** Bytes as a string, a character each: what is short is faster without a call into Node. */
function textOf(bytes: Buffer, start: number, end: number): string {
  if (end - start > 24) {
    return bytes.toString("latin1", start, end);
  }
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}

function breaksOff(): CompressionError {
  return new CompressionError("a block that breaks off");
}
