import { varintBytes, writeVarint } from "../../wire/varint.ts";

/** Where the attributes of a span go. */
export interface AttributeSink {
  /** @param value a number that is no whole one, or below 0, is written as a fraction */
  put(key: string, value: string | number): void;
}

/** Field 9 of Span. */
const attributesTag = 0x4a;
/** Fields of AnyValue. */
const textTag = 0x0a;
const wholeTag = 0x18;
const fractionTag = 0x21;
/** Longer texts are not remembered. */
const mostRemembered = 256;

/**
 * An attribute of spans (`opentelemetry.proto.common.v1.KeyValue`). Most have the same value in one span after the
 * other: its bytes are kept once it has come twice.
 */
export class KnownAttribute {
  /** The field of the key, and the tag of that of the value. */
  readonly #key: Buffer;
  #value: string | number | undefined;
  #bytes: Uint8Array | undefined;

  constructor(key: string) {
    const name = Buffer.from(key);
    const bytes = Buffer.alloc(2 + varintBytes(name.length) + name.length);
    bytes[0] = 0x0a;
    bytes.set(name, writeVarint(name.length, bytes, 1));
    bytes[bytes.length - 1] = 0x12;
    this.#key = bytes;
  }

  /** The most bytes that the attribute takes with a value. */
  bytesOf(value: string | number): number {
    return this.#key.length + 16 + (typeof value === "string" ? 3 * value.length : 0);
  }

  /** Writes the attribute, for which there is room. @returns where it ends */
  write(value: string | number, bytes: Buffer, at: number): number {
    if (value !== this.#value) {
      this.#value = value;
      this.#bytes = undefined;
      return this.#encode(value, bytes, at);
    }
    const known = this.#bytes;
    if (known !== undefined) {
      bytes.set(known, at);
      return at + known.length;
    }
    const end = this.#encode(value, bytes, at);
    if (end - at <= mostRemembered) this.#bytes = Uint8Array.prototype.slice.call(bytes, at, end);
    return end;
  }

  #encode(value: string | number, bytes: Buffer, at: number): number {
    if (typeof value === "string") return this.#encodeText(value, bytes, at);
    const isWhole = Number.isSafeInteger(value) && value >= 0;
    const size = 1 + (isWhole ? varintBytes(value) : 8);
    const end = this.#begin(size, bytes, at);
    bytes[end] = isWhole ? wholeTag : fractionTag;
    return isWhole ? writeVarint(value, bytes, end + 1) : bytes.writeDoubleLE(value, end + 1);
  }

  #encodeText(text: string, bytes: Buffer, at: number): number {
    const { length } = text;
    if (length < 64) {
      let end = this.#begin(2 + length, bytes, at);
      bytes[end++] = textTag;
      bytes[end++] = length;
      let i = 0;
      for (; i < length; i++) {
        const unit = text.charCodeAt(i);
        if (unit > 0x7f) break;
        bytes[end++] = unit;
      }
      if (i === length) return end;
    }
    const size = Buffer.byteLength(text);
    let end = this.#begin(1 + varintBytes(size) + size, bytes, at);
    bytes[end++] = textTag;
    end = writeVarint(size, bytes, end);
    return end + bytes.write(text, end);
  }

  /** Writes all before the value, which has so many bytes. @returns where that begins */
  #begin(size: number, bytes: Buffer, at: number): number {
    bytes[at] = attributesTag;
    let end = writeVarint(this.#key.length + varintBytes(size) + size, bytes, at + 1);
    bytes.set(this.#key, end);
    end += this.#key.length;
    return writeVarint(size, bytes, end);
  }
}
