import type { Coding } from "../../../core/wire/codings/coding.ts";
import { codings } from "../../../core/wire/codings/codings.ts";
import { weightedList } from "../weighted-list.ts";

/** The codings of responses, in the order of preference if the client has none. */
const offered: readonly Coding[] = [codings.zstd, codings.br, codings.gzip];

/**
 * The coding that a request prefers by its `Accept-Encoding` (RFC 9110, section 12.5.3). Undefined for no compression,
 * also if the client names no supported coding.
 */
export function negotiateCoding(acceptEncoding: string | undefined): Coding | undefined {
  if (acceptEncoding === undefined || acceptEncoding === "") return undefined;
  const qualities = new Map<string, number>();
  for (const { name, quality } of weightedList(acceptEncoding)) {
    qualities.set(name === "x-gzip" ? codings.gzip.name : name, quality);
  }
  const any = qualities.get("*") ?? 0;
  let best: Coding | undefined;
  let bestQuality = 0;
  for (const coding of offered) {
    const quality = qualities.get(coding.name) ?? any;
    if (quality > bestQuality) [best, bestQuality] = [coding, quality];
  }
  return (qualities.get("identity") ?? 0) > bestQuality ? undefined : best;
}

const compressible =
  /^(?:text\/[^;]+|[^/;]+\/[^;]+\+(?:json|xml|yaml)|application\/(?:json|jsonl|ndjson|x-ndjson|xml|javascript|x-javascript|proto|x-protobuf|wasm|sql|yaml|toml)|image\/(?:bmp|x-icon)|font\/(?:ttf|otf))\s*(?:;|$)/i;

/** Whether content of a media type is worth compressing; most images, videos and archives are compressed already. */
export function isCompressible(contentType: string): boolean {
  return compressible.test(contentType.trim());
}
