import { rankOf } from "./accept.ts";
import { weightedList } from "./weighted-list.ts";

/** The format of a request's body. */
export type BodyFormat = "json" | "binary";

/** Media types of binary protobuf bodies. */
export const binaryTypes: readonly string[] = ["application/proto", "application/x-protobuf"];

const mediaType =
  /^ *([\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+) *((?:; *[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\]*") *)*)$/;
const charsets = /; *charset="?([^"; ]*)/gi;
const jsonSuffix = /^application\/[^/]+\+json$/;

/**
 * The format of a request body with this `Content-Type`; undefined if the type is missing, malformed, not JSON or
 * protobuf, or names a charset other than UTF-8.
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
  // The header of most requests is at most as long as `application/json`: the length alone decides then.
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
 * The media type of a unary reply by the request's `Accept`: one of `binaryTypes`, or undefined for JSON, which is also
 * used if the client accepts none of the types.
 *
 * @param bodyType the request's own media type if its body was binary: without a preference in `Accept` the reply is of
 * the same type
 */
export function binaryReplyType(
  accept: string | undefined,
  bodyType: string | undefined,
): string | undefined {
  if (accept === undefined || accept === "*/*") return bodyType;
  if (accept === "application/json") return undefined;
  const ranges = weightedList(accept);
  const json = Math.max(rankOf(ranges, "application/json").quality, rankOf(ranges, "text/json").quality);
  let best: string | undefined;
  let bestQuality = json;
  for (const type of binaryTypes) {
    const own = rankOf(ranges, type).quality;
    if (own > bestQuality || (own > 0 && own === bestQuality && type === bodyType)) {
      best = type;
      bestQuality = own;
    }
  }
  return best;
}
