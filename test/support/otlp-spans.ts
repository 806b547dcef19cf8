import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** A span as a collector has it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  /** Spans that it is linked to. */
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly events?: readonly { readonly name: string }[];
  readonly status: { readonly code?: number };
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly resource: Readonly<Record<string, string | number | boolean>>;
  readonly startMs: number;
  readonly endMs: number;
}

type Value = string | number | boolean;

/** The fields of a message by their numbers, in their order: numbers, or bytes of what is a message or a text. */
function fieldsOf(bytes: Uint8Array): Map<number, (number | bigint | Uint8Array)[]> {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (number | bigint | Uint8Array)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const values = fields.get(number) ?? [];
    fields.set(number, values);
    if (type === WireType.Varint) values.push(Number(reader.uint64()));
    else if (type === WireType.Bit64) values.push(BigInt(reader.fixed64()));
    else if (type === WireType.Bit32) values.push(reader.fixed32());
    else values.push(reader.bytes());
  }
  return fields;
}

class Fields {
  readonly #fields: ReturnType<typeof fieldsOf>;

  constructor(bytes: Uint8Array) {
    this.#fields = fieldsOf(bytes);
  }

  has(number: number): boolean {
    return this.#fields.has(number);
  }

  all(number: number): Fields[] {
    return (this.#fields.get(number) ?? []).map((bytes) => new Fields(bytes as Uint8Array));
  }

  number(number: number): number {
    return Number(this.#fields.get(number)?.at(-1) ?? 0);
  }

  bytes(number: number): Buffer {
    return Buffer.from((this.#fields.get(number)?.at(-1) as Uint8Array | undefined) ?? []);
  }

  text(number: number): string {
    return this.bytes(number).toString();
  }

  /** Milliseconds of a time in nanoseconds. */
  ms(number: number): number {
    return Number(this.#bits(number) / 1000n) / 1000;
  }

  fraction(number: number): number {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(this.#bits(number));
    return bytes.readDoubleLE();
  }

  #bits(number: number): bigint {
    const value = this.#fields.get(number)?.at(-1);
    return typeof value === "bigint" ? value : 0n;
  }

  attributes(number: number): Record<string, Value> {
    return Object.fromEntries(this.all(number).map((one) => [one.text(1), valueOf(one.all(2)[0])]));
  }
}

/** `opentelemetry.proto.common.v1.AnyValue`. */
function valueOf(value: Fields | undefined): Value {
  if (value?.has(2) === true) return value.number(2) === 1;
  if (value?.has(3) === true) return value.number(3);
  return value?.has(4) === true ? value.fraction(4) : (value?.text(1) ?? "");
}

/** The spans of `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`. */
export function readSpans(request: Uint8Array): ReceivedSpan[] {
  return new Fields(request).all(1).flatMap((ofResource) => {
    const resource = ofResource.all(1)[0]?.attributes(1) ?? {};
    return ofResource.all(2).flatMap((ofScope) => ofScope.all(2).map((span) => spanOf(span, resource)));
  });
}

/** `opentelemetry.proto.trace.v1.Span`. */
function spanOf(span: Fields, resource: ReceivedSpan["resource"]): ReceivedSpan {
  const hex = (fields: Fields, number: number): string => fields.bytes(number).toString("hex");
  return {
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    ...(span.has(4) && { parentSpanId: hex(span, 4) }),
    name: span.text(5),
    kind: span.number(6),
    startMs: span.ms(7),
    endMs: span.ms(8),
    attributes: span.attributes(9),
    events: span.all(11).map((event) => ({ name: event.text(2) })),
    links: span.all(13).map((link) => ({ traceId: hex(link, 1), spanId: hex(link, 2) })),
    status: { code: span.all(15)[0]?.number(3) ?? 0 },
    resource,
  };
}
