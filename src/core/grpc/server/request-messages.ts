import type { IncomingHttpHeaders } from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../../errors/errors.ts";
import type { Coding } from "../../wire/codings/coding.ts";
import { compressedFlag } from "../../wire/message-prefix.ts";
import { tooLarge } from "../../wire/message-reader.ts";
import { requestCoding } from "./message-compression.ts";

/** Decodes the messages of one request. */
export class MessageDecoder {
  readonly #read: (bytes: Uint8Array) => Message;
  readonly #maxBytes: number;
  readonly #coding: Coding | undefined;

  /**
   * @param read Decodes a message; throws for malformed bytes.
   * @param maxBytes Size of the largest message, in bytes after decompression.
   */
  constructor(headers: IncomingHttpHeaders, read: (bytes: Uint8Array) => Message, maxBytes: number) {
    this.#read = read;
    this.#maxBytes = maxBytes;
    this.#coding = requestCoding(headers);
  }

  /** Checks the flags of a message. @throws ConnectError INTERNAL for a compressed one where no encoding is named */
  check(flags: number): void {
    if (flags === compressedFlag && this.#coding === undefined) {
      throw new ConnectError("a compressed message without a grpc-encoding", Code.Internal);
    }
  }

  /**
   * The message; a promise for one that is compressed.
   *
   * @throws ConnectError INTERNAL for bytes that are no message, RESOURCE_EXHAUSTED for too many
   */
  decode(flags: number, bytes: Buffer): Message | Promise<Message> {
    if (flags === compressedFlag && this.#coding !== undefined) return this.#inflate(this.#coding, bytes);
    return this.#parse(bytes);
  }

  async #inflate(coding: Coding, bytes: Buffer): Promise<Message> {
    let whole: Buffer;
    try {
      whole = await coding.decompress(bytes, this.#maxBytes);
    } catch (reason) {
      throw reason instanceof RangeError ? tooLarge(this.#maxBytes, "request") : unreadable();
    }
    return this.#parse(whole);
  }

  #parse(bytes: Buffer): Message {
    try {
      return this.#read(bytes);
    } catch {
      throw unreadable();
    }
  }
}

function unreadable(): ConnectError {
  return new ConnectError("the request cannot be read", Code.Internal);
}
