/** How a request's body is to be read. */
export type BodyFormat = "json" | "binary";

/** Media types of binary protobuf bodies. */
export const binaryTypes: readonly string[] = ["application/proto", "application/x-protobuf"];

const mediaType =
  /^ *([\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+) *((?:; *[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\]*") *)*)$/;
const charsets = /; *charset="?([^"; ]*)/gi;
const jsonSuffix = /^application\/[^/]+\+json$/;

/**
 * The format of a request body with this `Content-Type`; undefined where the type is missing, malformed, not
 * JSON or protobuf, or names a charset other than UTF-8.
 *
 * JSON types are `application/json`, `text/json` and `application/*+json`.
 */
export function bodyFormat(contentType: string | undefined): BodyFormat | undefined {
  if (contentType === undefined) return undefined;
  if (contentType === "application/json") return "json";
  const parts = mediaType.exec(contentType);
  const type = parts?.[1]?.toLowerCase();
  if (type === undefined) return undefined;
  if (binaryTypes.includes(type)) return "binary";
  if (type !== "application/json" && type !== "text/json" && !jsonSuffix.test(type)) return undefined;
  const named = [...(parts?.[2] ?? "").matchAll(charsets)].map(([, name = ""]) => name.toLowerCase());
  return named.every((name) => name === "utf-8" || name === "utf8") ? "json" : undefined;
}

const eventStream = /text\/event-stream/i;

/** Whether an `Accept` header names Server-Sent Events. */
export function namesEvents(accept: string | undefined): boolean {
  // No longer than the name of JSON are the headers of most requests.
  return accept !== undefined && accept.length > 16 && eventStream.test(accept);
}

/** Media types of bodies that have one JSON text on each line. */
const lineTypes: ReadonlySet<string> = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
]);

/** Whether a body of this `Content-Type` may be a stream of JSON texts: JSON of any kind, or lines of it, in UTF-8. */
export function isJsonStream(contentType: string | undefined): boolean {
  if (contentType === undefined) return false;
  const [type = ""] = contentType.split(";", 1);
  const isLines = lineTypes.has(type.trim().toLowerCase());
  return bodyFormat(isLines ? `application/json${contentType.slice(type.length)}` : contentType) === "json";
}

/**
 * The media type of a unary reply by the request's `Accept`: one of `binaryTypes`, or undefined for JSON, which is
 * also the answer where nothing offered is acceptable.
 *
 * @param bodyType the request's own media type if its body was binary: without a preference in `Accept` the reply
 * is of the same type
 */
export function binaryReplyType(
  accept: string | undefined,
  bodyType: string | undefined,
): string | undefined {
  if (accept === undefined || accept === "*/*") return bodyType;
  if (accept === "application/json") return undefined;
  const ranges = mediaRanges(accept);
  const json = Math.max(quality(ranges, "application/json"), quality(ranges, "text/json"));
  let best: string | undefined;
  let bestQuality = json;
  for (const type of binaryTypes) {
    const own = quality(ranges, type);
    if (own > bestQuality || (own > 0 && own === bestQuality && type === bodyType)) {
      best = type;
      bestQuality = own;
    }
  }
  return best;
}

/** One range of an `Accept` header. */
export interface MediaRange {
  /** In lower case, without parameters. */
  readonly type: string;
  /** From 0 (not acceptable) to 1. */
  readonly quality: number;
}

/** The ranges of an `Accept` header in their order. */
export function mediaRanges(accept: string): MediaRange[] {
  return accept.split(",").map(parseRange);
}

function parseRange(text: string): MediaRange {
  const [type = "", ...parameters] = text.split(";");
  let quality = 1;
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.split("=");
    if (name.trim().toLowerCase() === "q") quality = Number(value.trim()) || 0;
  }
  return { type: type.trim().toLowerCase(), quality };
}

/** The quality of `type` by its most specific range (RFC 9110 section 12.5.1); 0 for not acceptable. */
function quality(ranges: readonly MediaRange[], type: string): number {
  const family = `${type.slice(0, type.indexOf("/"))}/*`;
  for (const wanted of [type, family, "*/*"]) {
    const range = ranges.find((candidate) => candidate.type === wanted);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
