import { Pieces } from "./pieces.ts";

/** Cuts the bytes of a stream into the texts of its messages. */
export interface Splitter {
  /**
   * The texts that are complete with these bytes.
   *
   * @throws ConnectError RESOURCE_EXHAUSTED after them, if the next one gets too large
   */
  push(chunk: Uint8Array): Iterable<Uint8Array>;
  /** What is left when the stream ends, white space aside; undefined for nothing. */
  finish(): Uint8Array | undefined;
}

const lineFeed = 0x0a;

/** A text for each line that has more than white space. */
export function splitLines(maxBytes: number): Splitter {
  const pieces = new Pieces(maxBytes);
  return {
    *push(chunk) {
      let from = 0;
      for (let to = chunk.indexOf(lineFeed); to !== -1; to = chunk.indexOf(lineFeed, from)) {
        pieces.add(chunk.subarray(from, to));
        const line = pieces.take();
        if (!isBlank(line)) yield line;
        from = to + 1;
      }
      pieces.add(chunk.subarray(from));
    },
    finish() {
      const line = pieces.take();
      return isBlank(line) ? undefined : line;
    },
  };
}

/** Whether there is nothing but the white space of JSON. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
}
