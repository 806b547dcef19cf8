import type { StreamCoding } from "../stream-compressor.ts";

/** The codings of responses, in the order of preference if the client has none. */
const codings: readonly StreamCoding[] = ["zstd", "br", "gzip"];

/**
 * The coding that a request prefers by its `Accept-Encoding` (RFC 9110, section 12.5.3). Undefined for no compression,
 * also if the client names no coding that we support.
 */
export function negotiateCoding(acceptEncoding: string | undefined): StreamCoding | undefined {
  if (acceptEncoding === undefined || acceptEncoding === "") return undefined;
  const qualities = new Map<string, number>();
  for (const part of acceptEncoding.split(",")) {
    const [name = "", ...parameters] = part.split(";");
    const coding = name.trim().toLowerCase();
    if (coding !== "") qualities.set(coding === "x-gzip" ? "gzip" : coding, qualityOf(parameters));
  }
  const any = qualities.get("*") ?? 0;
  let best: StreamCoding | undefined;
  let bestQuality = 0;
  for (const coding of codings) {
    const quality = qualities.get(coding) ?? any;
    if (quality > bestQuality) [best, bestQuality] = [coding, quality];
  }
  return (qualities.get("identity") ?? 0) > bestQuality ? undefined : best;
}

function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const match = /^\s*q\s*=\s*(\d(?:\.\d{0,3})?)\s*$/i.exec(parameter);
    if (match !== null) return Math.min(Number(match[1]), 1);
  }
  return 1;
}

const compressible =
  /^(?:text\/[^;]+|[^/;]+\/[^;]+\+(?:json|xml|yaml)|application\/(?:json|jsonl|ndjson|x-ndjson|xml|javascript|x-javascript|proto|x-protobuf|wasm|sql|yaml|toml)|image\/(?:bmp|x-icon)|font\/(?:ttf|otf))\s*(?:;|$)/i;

/** Whether content of a media type is worth compressing; most images, videos and archives are compressed already. */
export function isCompressible(contentType: string): boolean {
  return compressible.test(contentType.trim());
}
