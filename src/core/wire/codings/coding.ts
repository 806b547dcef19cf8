import { constants } from "node:buffer";
import type { Transform } from "node:stream";
import type { Zlib } from "node:zlib";

/** What a coding makes; zlib never shares its memory. */
export type CodedBytes = Buffer<ArrayBuffer>;

/** Streams of Node that compress, as far as they are alike. */
export type Compressor = Transform & Pick<Zlib, "flush">;

/**
 * A content coding: one way to compress bytes, in whole or piece by piece. Levels are those of a server that compresses
 * while a client waits: small and fast.
 */
export interface Coding {
  /** Its registered name, in lower case: of `Content-Encoding`, `Accept-Encoding`, `grpc-encoding` and the like. */
  readonly name: string;
  /** Compresses bytes that are there in full. */
  compress(bytes: Uint8Array): Promise<CodedBytes>;
  /**
   * Decompresses bytes that are there in full. Rejects with a RangeError as soon as the result is larger than `maxBytes`, and
   * with another Error for bytes that are broken or break off; an empty input breaks off.
   */
  decompress(bytes: Uint8Array, maxBytes: number): Promise<CodedBytes>;
  /** Compresses piece by piece. What was written can be read in full after a `flush` of `flushKind`. */
  compressor(): Compressor;
  /** The kind of flush for `compressor`, a constant of zlib. */
  readonly flushKind: number;
  /** Decompresses piece by piece, without a limit; ends with an error for bytes that are broken or break off. */
  decompressor(): Transform;
}

/** Runs a function of zlib that stops by itself as soon as its output is larger than it may be. */
export async function upTo(
  maxBytes: number,
  decompress: (limit: { readonly maxOutputLength: number }) => Promise<CodedBytes>,
): Promise<CodedBytes> {
  // Zlib throws for limits outside of this range.
  const maxOutputLength = Math.min(Math.max(maxBytes, 1), constants.MAX_LENGTH);
  const bytes = await decompress({ maxOutputLength });
  if (bytes.length > maxBytes) throw new RangeError(`more than ${maxBytes} bytes`);
  return bytes;
}
