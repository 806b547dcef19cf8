import { connectionPreface } from "./frame.ts";
import { BlockMemo } from "./hpack/block-memo.ts";
import { CompressionError } from "./hpack/compression-error.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { errorCode, Http2Error, protocolError } from "./http2-error.ts";
import { readIncomingRequest, type IncomingRequest } from "./incoming-request.ts";

/** Decodes the header blocks of one client; those that equal one of the last few are not decoded again. */
export class RequestDecoder {
  readonly #decoder: HpackDecoder;
  readonly #memo = new BlockMemo<IncomingRequest>();

  /** @param maxListBytes The largest list whose fields are kept. */
  constructor(maxListBytes: number) {
    this.#decoder = new HpackDecoder(maxListBytes);
  }

  /** The size of the table, in bytes. */
  get tableBytes(): number {
    return this.#decoder.tableBytes;
  }

  /** @throws Http2Error COMPRESSION_ERROR for bytes that are no block */
  decode(bytes: Buffer, start: number, end: number): IncomingRequest {
    const { version } = this.#decoder;
    const known = this.#memo.find(bytes, start, end, version);
    if (known !== undefined) return known;
    try {
      const request = readIncomingRequest(this.#decoder, bytes, start, end);
      if (this.#decoder.version === version) this.#memo.keep(bytes, start, end, version, request);
      return request;
    } catch (error) {
      if (!(error instanceof CompressionError)) throw error;
      throw new Http2Error(errorCode.compressionError, error.message);
    }
  }
}

/** Reads the preface with which a client begins (RFC 9113 3.4). */
export class PrefaceReader {
  #have = 0;

  /** Whether the whole preface has come. */
  get isComplete(): boolean {
    return this.#have === connectionPreface.length;
  }

  /** @returns the bytes behind the preface. @throws Http2Error for other bytes */
  read(chunk: Buffer): Buffer {
    const length = Math.min(chunk.length, connectionPreface.length - this.#have);
    const expected = connectionPreface.slice(this.#have, this.#have + length);
    if (chunk.toString("latin1", 0, length) !== expected) throw protocolError("no connection preface");
    this.#have += length;
    return chunk.subarray(length);
  }
}
