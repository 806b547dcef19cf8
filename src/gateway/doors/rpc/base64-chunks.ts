import { isBase64 } from "../../../core/codec/base64-text.ts";

/** Decodes base64 in chunks of any length, with padding at any place, as in `grpc-web-text`. */
export class Base64Chunks {
  #rest = "";

  /** Returns the bytes that `chunk` completes; undefined if a character is not base64. */
  decode(chunk: Uint8Array): Buffer | undefined {
    const text =
      this.#rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
    const end = text.length - (text.length % 4);
    this.#rest = text.slice(end);
    return decodeQuads(text.slice(0, end));
  }

  /** Returns the bytes of a last group without padding; undefined if it is malformed. */
  end(): Buffer | undefined {
    const rest = this.#rest;
    this.#rest = "";
    return rest.length === 1 ? undefined : decodeQuads(rest);
  }
}

function decodeQuads(text: string): Buffer | undefined {
  if (!text.includes("=")) return isBase64(text) ? Buffer.from(text, "base64") : undefined;
  if (text.startsWith("=")) return undefined;
  // Node stops at padding, so that the text after it is decoded separately.
  const parts = text.split(/(?<==)(?!=)/);
  if (!parts.every((part) => isBase64(part))) return undefined;
  return Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
}
