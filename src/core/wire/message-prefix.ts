/**
 * The prefix in front of each message of gRPC, gRPC-Web and Connect streams: a byte of flags, and the length of the
 * message in four bytes.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */

/** Bytes of a prefix. */
export const prefixBytes = 5;

/** The flag of messages that are compressed. */
export const compressedFlag = 1;

/** The flags of the prefix that begins at `at`. */
export function flagsAt(bytes: Buffer, at: number): number {
  return bytes.readUInt8(at);
}

/** The length of the message whose prefix begins at `at`, in bytes and without the prefix. */
export function lengthAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at + 1);
}

/** Writes the prefix of a message of `length` bytes at the start of `target`. */
export function writePrefix(target: Uint8Array, flags: number, length: number): void {
  target[0] = flags;
  target[1] = length >>> 24;
  target[2] = length >>> 16;
  target[3] = length >>> 8;
  target[4] = length;
}

/** Sets the compressed flag of the prefix that ends at `start`, where its message begins. */
export function markCompressed(target: Uint8Array, start: number): void {
  target[start - prefixBytes] = compressedFlag;
}

/** `message` behind its prefix. */
export function withPrefix(message: Uint8Array, flags = 0): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length);
  writePrefix(framed, flags, message.length);
  framed.set(message, prefixBytes);
  return framed;
}

/** Every one of `messages` behind its prefix, in one piece. */
export function withPrefixes(messages: readonly Uint8Array[], flags = 0): Buffer {
  let length = 0;
  for (const message of messages) length += prefixBytes + message.length;
  const framed = Buffer.allocUnsafe(length);
  let at = 0;
  for (const message of messages) {
    const end = at + prefixBytes + message.length;
    writePrefix(framed.subarray(at, end), flags, message.length);
    framed.set(message, at + prefixBytes);
    at = end;
  }
  return framed;
}
