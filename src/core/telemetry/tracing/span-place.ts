import { KnownAttribute } from "./known-attribute.ts";
import { varintBytes, writeVarint } from "../../wire/varint.ts";

/** Field 1 of ExportTraceServiceRequest, of ResourceSpans, of ScopeSpans, of Resource and of InstrumentationScope. */
const firstTag = 0x0a;
/** Field 2 of ResourceSpans. */
const scopeSpansTag = 0x12;
/** Field 2 of Resource: no attributes were dropped. */
const noneDropped = Buffer.from([0x10, 0]);
const none = new Uint8Array(0);

/** What spans of one scope of a process have in common, in the protobuf of OTLP. */
export class SpanPlace {
  readonly #resource: Uint8Array;
  readonly #scope: Uint8Array;

  /** @param resource attributes of the process @param scope name of what has made the spans */
  constructor(resource: Readonly<Record<string, string | number>>, scope: string) {
    const attributes = Object.entries(resource).map(([key, value]) => resourceAttribute(key, value));
    this.#resource = field(firstTag, Buffer.concat([...attributes, noneDropped]));
    this.#scope = field(firstTag, field(firstTag, Buffer.from(scope)));
  }

  /**
   * A request with some spans (`opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`).
   *
   * @param spans each as field 2 of ScopeSpans @param rest a request with others. Default: none
   */
  request(spans: Uint8Array, rest: Uint8Array = none): Uint8Array {
    const inner = this.#scope.length + spans.length;
    const scopeSpans = head(scopeSpansTag, inner);
    const outer = head(firstTag, this.#resource.length + scopeSpans.length + inner);
    return Buffer.concat([outer, this.#resource, scopeSpans, this.#scope, spans, rest]);
  }
}

/** An attribute as field 1 of Resource. */
function resourceAttribute(key: string, value: string | number): Uint8Array {
  const attribute = new KnownAttribute(key);
  const bytes = Buffer.alloc(attribute.bytesOf(value));
  const end = attribute.write(value, bytes, 0);
  bytes[0] = firstTag;
  return bytes.subarray(0, end);
}

/** A field that is a message, a text or bytes. */
function field(tag: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([head(tag, content.length), content]);
}

/** Tag and length of such a field. */
function head(tag: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(1 + varintBytes(length));
  bytes[0] = tag;
  writeVarint(length, bytes, 1);
  return bytes;
}
