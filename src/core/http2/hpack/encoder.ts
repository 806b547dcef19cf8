import { DynamicTable, sizeOf } from "./dynamic-table.ts";
import { encodeHuffman, huffmanLength } from "./huffman.ts";
import { defaultTableBytes, firstDynamicIndex, staticTable } from "./static-table.ts";

/** A list of header fields: name, value, name, value. Names are in lower case; characters are bytes. */
export type FieldList = readonly string[];

/** Fields whose values never enter a table (RFC 7541 7.1.3): calls of many users share a connection. */
export const sensitiveNames: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "set-cookie",
  "x-api-key",
]);

const staticFields = new Map<string, number>();
const staticNames = new Map<string, number>();
for (const [at, { name, value }] of staticTable.entries()) {
  staticFields.set(keyOf(name, value), at + 1);
  if (!staticNames.has(name)) staticNames.set(name, at + 1);
}

/** First bytes of the forms of a field (RFC 7541 6). */
const form = { indexed: 0x80, added: 0x40, resize: 0x20, never: 0x10, literal: 0 } as const;

/**
 * Encodes the header blocks of one connection (RFC 7541).
 *
 * Fields that many blocks share enter the table once, as long as there is room; nothing is evicted for a new one, so
 * that the blocks of thousands of rpcs do not displace one another. All other fields are literals.
 */
export class HpackEncoder {
  readonly #table = new DynamicTable(defaultTableBytes);
  readonly #sensitive: ReadonlySet<string>;
  /** Numbers of the table's fields, by name and value: the first one ever added has 0. */
  readonly #numbers = new Map<string, number>();
  #version = 0;
  /** Sizes to announce at the head of the next block: the smallest since the last block, and the last. */
  #resizes: number[] = [];

  /** @param sensitive names whose values never enter a table */
  constructor(sensitive: ReadonlySet<string> = sensitiveNames) {
    this.#sensitive = sensitive;
  }

  /** Grows with every change of the table: prepared blocks are valid as long as it stays. */
  get version(): number {
    return this.#version;
  }

  /** The size of the table, in bytes. */
  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** Whether the next block has to begin with `resizeLength` bytes of size updates. */
  get mustResize(): boolean {
    return this.#resizes.length > 0;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE, in bytes; above 4,096 that much is used. */
  limit(tableBytes: number): void {
    const bytes = Math.min(tableBytes, defaultTableBytes);
    const before = this.#resizes.at(-1) ?? this.#table.maxBytes;
    if (bytes === before) return;
    const smallest = Math.min(bytes, ...this.#resizes);
    this.#resizes = smallest < bytes ? [smallest, bytes] : [bytes];
  }

  /** Writes the size updates that are due; returns the offset after them. At most 12 bytes. */
  writeResizes(into: Uint8Array, at: number): number {
    let end = at;
    for (const bytes of this.#resizes) {
      end = putInteger(into, end, form.resize, 5, bytes);
      this.#table.resize(bytes);
      this.#version++;
    }
    this.#resizes = [];
    const oldest = this.#table.added - this.#table.count;
    for (const [key, number] of this.#numbers) if (number < oldest) this.#numbers.delete(key);
    return end;
  }

  /** Writes fields that many blocks share; new ones enter the table while there is room. */
  writeShared(fields: FieldList, into: Uint8Array, at: number): number {
    let end = at;
    for (let i = 0; i < fields.length; i += 2)
      end = this.#share(fields[i] ?? "", fields[i + 1] ?? "", into, end);
    return end;
  }

  #share(name: string, value: string, into: Uint8Array, at: number): number {
    if (this.#sensitive.has(name)) return this.#put(form.never, 4, name, value, into, at);
    const key = keyOf(name, value);
    const index = staticFields.get(key) ?? this.#indexOf(key);
    if (index !== undefined) return putInteger(into, at, form.indexed, 7, index);
    const field = { name, value };
    if (sizeOf(field) > this.#table.room) return this.#put(form.literal, 4, name, value, into, at);
    const end = this.#put(form.added, 6, name, value, into, at);
    this.#numbers.set(key, this.#table.added);
    this.#table.add(field);
    this.#version++;
    return end;
  }

  #indexOf(key: string): number | undefined {
    const number = this.#numbers.get(key);
    return number === undefined ? undefined : firstDynamicIndex + this.#table.added - 1 - number;
  }

  #put(first: number, prefix: number, name: string, value: string, into: Uint8Array, at: number): number {
    const index = staticNames.get(name);
    let end = putInteger(into, at, first, prefix, index ?? 0);
    if (index === undefined) end = putText(into, end, name);
    return putText(into, end, value);
  }
}

/**
 * Writes fields of one call as literals that enter no table; returns the offset after them. They mean the same at any
 * place of any block.
 */
export function writeLiterals(
  fields: FieldList,
  into: Uint8Array,
  at: number,
  sensitive: ReadonlySet<string> = sensitiveNames,
): number {
  let end = at;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const index = staticNames.get(name);
    end = putInteger(into, end, sensitive.has(name) ? form.never : form.literal, 4, index ?? 0);
    if (index === undefined) end = putPlain(into, end, name);
    end = putPlain(into, end, fields[i + 1] ?? "");
  }
  return end;
}

/** The most bytes that a block of these fields can have, without size updates. */
export function mostBytesOf(fields: FieldList): number {
  let bytes = 0;
  for (let i = 0; i < fields.length; i++) bytes += (fields[i] ?? "").length + 6;
  return bytes;
}

/** The size of a list as SETTINGS_MAX_HEADER_LIST_SIZE counts it, in bytes. */
export function listBytesOf(fields: FieldList): number {
  let bytes = 0;
  for (let i = 0; i < fields.length; i += 2) {
    bytes += sizeOf({ name: fields[i] ?? "", value: fields[i + 1] ?? "" });
  }
  return bytes;
}

function keyOf(name: string, value: string): string {
  return `${name}\0${value}`;
}

function putText(into: Uint8Array, at: number, text: string): number {
  const length = huffmanLength(text);
  if (length >= text.length) return putPlain(into, at, text);
  return encodeHuffman(text, into, putInteger(into, at, 0x80, 7, length));
}

function putPlain(into: Uint8Array, at: number, text: string): number {
  let end = putInteger(into, at, 0, 7, text.length);
  for (let i = 0; i < text.length; i++) into[end++] = text.charCodeAt(i);
  return end;
}

/** An integer whose first byte has `prefix` bits for it beside those of `first` (RFC 7541 5.1). */
function putInteger(into: Uint8Array, at: number, first: number, prefix: number, value: number): number {
  const mask = (1 << prefix) - 1;
  if (value < mask) {
    into[at] = first | value;
    return at + 1;
  }
  into[at] = first | mask;
  let end = at + 1;
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) into[end++] = (rest & 0x7f) | 0x80;
  into[end++] = rest;
  return end;
}
