import { isBase64 } from "../../../core/codec/base64-text.ts";

/** Decodes base64 that arrives in pieces of any length, and that may end with padding anywhere, as `grpc-web-text` does. */
export class Base64Chunks {
  #rest = "";

  /** The bytes that are complete by now; undefined if a character is none of base64. */
  decode(chunk: Uint8Array): Buffer | undefined {
    const text =
      this.#rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
    const end = text.length - (text.length % 4);
    this.#rest = text.slice(end);
    return decodeQuads(text.slice(0, end));
  }

  /** The bytes after the last whole group of four, whose padding was left out; undefined if they are none. */
  end(): Buffer | undefined {
    const rest = this.#rest;
    this.#rest = "";
    return rest.length === 1 ? undefined : decodeQuads(rest);
  }
}

function decodeQuads(text: string): Buffer | undefined {
  if (!text.includes("=")) return isBase64(text) ? Buffer.from(text, "base64") : undefined;
  if (text.startsWith("=")) return undefined;
  // Node stops at padding, so what stands behind it is decoded by itself.
  const parts = text.split(/(?<==)(?!=)/);
  if (!parts.every((part) => isBase64(part))) return undefined;
  return Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
}
