import { TraceFlags } from "@opentelemetry/api";
import { KnownAttribute, type AttributeSink } from "./known-attribute.ts";
import { varintBytes, writeVarint } from "../../wire/varint.ts";

/** What a span begins with. Times are milliseconds since 1970, with fractions. */
export interface SpanHead {
  /** 32 and 16 hexadecimal digits in lower case. */
  readonly traceId: string;
  readonly spanId: string;
  readonly tracestate: string | undefined;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  /** As in OTLP: 2 for a server, 3 for a client. */
  readonly kind: 2 | 3;
  readonly startMs: number;
  readonly endMs: number;
}

/** What a span ends with. */
export interface SpanTail {
  readonly isError: boolean;
  /** Whether the parent is in another process. */
  readonly isParentRemote: boolean;
}

/** Field 2 of ScopeSpans. */
const spanTag = 0x12;
/** So many bytes has the length of most spans: those of 128 to 16,383 bytes. */
const usualLengthBytes = 2;
/** What a span has beside its texts and attributes takes less. */
const mostFixedBytes = 96;
const firstCapacity = 4096;

/** The values of hexadecimal digits, by their codes. */
const digitValues = Uint8Array.from({ length: 0x67 }, (_, code) => (code < 0x3a ? code - 0x30 : code - 0x57));

const hasIsRemote = 0x100;
const isRemote = 0x200;
/** Status of OTLP. */
const unset = 0;
const error = 2;

/** The attributes of a span in their order, and where each of them ends. */
class Puts {
  readonly keys: string[] = [];
  readonly values: (string | number)[] = [];
  readonly ends: number[] = [];
  count = 0;
  start = 0;
}

/**
 * Spans of one scope in the protobuf of OTLP 1.10 (`opentelemetry.proto.trace.v1.Span`), one behind the other: all are
 * sampled, and each has the fields and the order that the SDK of OpenTelemetry gives it.
 *
 * `begin`, `put` for each attribute, `end`. A span that was begun and not ended is left out. Most attributes are those
 * of the span before: what follows one another there is copied at once.
 */
export class SpanBytes implements AttributeSink {
  /** What is remembered of attributes, by their keys; shared by those that follow one another. */
  readonly #known: Map<string, KnownAttribute>;
  #bytes: Buffer;
  /** Where the last complete span ends. */
  #ended = 0;
  #at = 0;
  #count = 0;
  /** Attributes of the span before, and of this one. */
  #last = new Puts();
  #now = new Puts();
  /** What of the span before is to be copied to before `#at`; from -1 for nothing. */
  #copyFrom = -1;
  #copyTo = 0;

  constructor(known = new Map<string, KnownAttribute>(), capacity = firstCapacity) {
    this.#known = known;
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** An empty one, for the spans that follow: about as many bytes as these. */
  next(): SpanBytes {
    return new SpanBytes(this.#known, Math.max(firstCapacity, this.#ended + mostFixedBytes));
  }

  /** How many spans there are. */
  get count(): number {
    return this.#count;
  }

  /** All spans, as field 2 of ScopeSpans each. They must not be changed. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#ended);
  }

  begin({ traceId, spanId, tracestate, parentSpanId, name, kind, startMs, endMs }: SpanHead): void {
    this.#at = this.#ended + 1 + usualLengthBytes;
    this.#room(mostFixedBytes);
    this.#id(0x0a, traceId);
    this.#id(0x12, spanId);
    if (tracestate !== undefined && tracestate !== "") this.#text(0x1a, tracestate);
    if (parentSpanId !== undefined) this.#id(0x22, parentSpanId);
    this.#text(0x2a, name);
    this.#room(mostFixedBytes);
    this.#bytes[this.#at++] = 0x30;
    this.#bytes[this.#at++] = kind;
    this.#time(0x39, startMs);
    this.#time(0x41, Math.max(startMs, endMs));
    this.#copyFrom = -1;
    this.#now.count = 0;
    this.#now.start = this.#at;
  }

  put(key: string, value: string | number): void {
    const now = this.#now;
    const last = this.#last;
    const at = now.count++;
    now.keys[at] = key;
    now.values[at] = value;
    if (at < last.count && last.values[at] === value && last.keys[at] === key) {
      const from = at === 0 ? last.start : (last.ends[at - 1] ?? 0);
      const to = last.ends[at] ?? 0;
      this.#room(to - from);
      if (this.#copyFrom < 0) this.#copyFrom = from;
      this.#copyTo = to;
      this.#at += to - from;
    } else {
      if (this.#copyFrom >= 0) this.#copy();
      this.#encode(key, value);
    }
    now.ends[at] = this.#at;
  }

  end({ isError, isParentRemote }: SpanTail): void {
    if (this.#copyFrom >= 0) this.#copy();
    this.#room(mostFixedBytes);
    const bytes = this.#bytes;
    let at = this.#at;
    // No attributes, events and links were dropped.
    for (const tag of [0x50, 0x60, 0x70]) {
      bytes[at++] = tag;
      bytes[at++] = 0;
    }
    bytes[at++] = 0x7a;
    bytes[at++] = 2;
    bytes[at++] = 0x18;
    bytes[at++] = isError ? error : unset;
    bytes[at++] = 0x85;
    bytes[at++] = 0x01;
    this.#at = bytes.writeUInt32LE(TraceFlags.SAMPLED | hasIsRemote | (isParentRemote ? isRemote : 0), at);
    this.#close();
  }

  #copy(): void {
    this.#bytes.copyWithin(this.#at - (this.#copyTo - this.#copyFrom), this.#copyFrom, this.#copyTo);
    this.#copyFrom = -1;
  }

  #encode(key: string, value: string | number): void {
    let known = this.#known.get(key);
    if (known === undefined) this.#known.set(key, (known = new KnownAttribute(key)));
    this.#room(known.bytesOf(value));
    this.#at = known.write(value, this.#bytes, this.#at);
  }

  /** Writes tag and length before the span that ends here. */
  #close(): void {
    const from = this.#ended + 1 + usualLengthBytes;
    const length = this.#at - from;
    const lengthBytes = varintBytes(length);
    if (lengthBytes !== usualLengthBytes) {
      this.#bytes.copyWithin(from + lengthBytes - usualLengthBytes, from, this.#at);
      this.#at += lengthBytes - usualLengthBytes;
      this.#now.count = 0; // Its attributes are elsewhere now.
    }
    [this.#last, this.#now] = [this.#now, this.#last];
    this.#bytes[this.#ended] = spanTag;
    writeVarint(length, this.#bytes, this.#ended + 1);
    this.#ended = this.#at;
    this.#count++;
  }

  /** Makes room for so many bytes more. */
  #room(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, needed));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }

  #id(tag: number, digits: string): void {
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = tag;
    bytes[at++] = digits.length >> 1;
    for (let i = 0; i < digits.length; i += 2) {
      bytes[at++] =
        ((digitValues[digits.charCodeAt(i)] ?? 0) << 4) | (digitValues[digits.charCodeAt(i + 1)] ?? 0);
    }
    this.#at = at;
  }

  #text(tag: number, text: string): void {
    const length = Buffer.byteLength(text);
    this.#room(length + 6);
    this.#bytes[this.#at++] = tag;
    this.#at = writeVarint(length, this.#bytes, this.#at);
    this.#at += this.#bytes.write(text, this.#at);
  }

  /** Nanoseconds since 1970, in 64 bits: a number has not the digits for them. */
  #time(tag: number, ms: number): void {
    const whole = Math.trunc(ms);
    const rest = Math.min(999_999, Math.round((ms - whole) * 1e6));
    // whole * 1,000,000 + rest, where whole is high * 2 ** 16 + low.
    const high = Math.floor(whole / 0x10000) * 1e6;
    const low = (whole % 0x10000) * 1e6 + rest;
    const lower = (high % 0x10000) * 0x10000 + (low % 0x100000000);
    const upper =
      Math.floor(high / 0x10000) + Math.floor(low / 0x100000000) + Math.floor(lower / 0x100000000);
    this.#bytes[this.#at++] = tag;
    this.#at = this.#bytes.writeUInt32LE(lower % 0x100000000, this.#at);
    this.#at = this.#bytes.writeUInt32LE(upper, this.#at);
  }
}
