/** Bytes of the messages that the suite's runner sends: each has a prefix of four bytes with its length. */
export async function* framedMessages(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let buffered = Buffer.alloc(0);
  for await (const chunk of input) {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32BE(0)) {
      const end = 4 + buffered.readUInt32BE(0);
      yield buffered.subarray(4, end);
      buffered = buffered.subarray(end);
    }
  }
}

/** A message with the prefix that the runner expects. */
export function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(message.length);
  return Buffer.concat([head, message]);
}
