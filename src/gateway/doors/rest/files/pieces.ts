import type { DescMethod } from "@bufbuild/protobuf";

/**
 * How long the first byte of a piece of an upload waits for more bytes, in milliseconds: short enough for recordings
 * and logs that are uploaded live, long enough for files to arrive in full pieces. Messages of bidi rpcs do not wait.
 */
export function pieceDelayMs({ methodKind }: DescMethod): number {
  return methodKind === "bidi_streaming" ? 0 : 20;
}

/**
 * Splits bytes into pieces of `size` bytes; no bytes become no pieces. A piece that is not full is yielded when
 * `delayMs` have passed since its first byte, and at the end.
 *
 * @param delayMs in milliseconds; 0 yields received bytes at once
 */
export async function* pieces(
  chunks: AsyncIterable<Buffer>,
  size: number,
  delayMs: number,
): AsyncGenerator<Buffer, void, undefined> {
  const source = chunks[Symbol.asyncIterator]();
  let parts: Buffer[] = [];
  let length = 0;
  let timer: NodeJS.Timeout | undefined;
  /** Resolves when the current piece has waited for `delayMs`; undefined while it is empty. */
  let due: Promise<undefined> | undefined;
  const complete = (): Buffer => {
    clearTimeout(timer);
    const piece = joined(parts);
    parts = [];
    length = 0;
    due = undefined;
    return piece;
  };
  let next: Promise<IteratorResult<Buffer>> | undefined;
  let isDone = false;
  try {
    for (;;) {
      next ??= source.next();
      const result: IteratorResult<Buffer> | undefined = await (due === undefined
        ? next
        : Promise.race([next, due]));
      if (result === undefined) {
        yield complete();
        continue;
      }
      next = undefined;
      if (result.done === true) break;
      let chunk = result.value;
      while (length + chunk.length >= size) {
        const rest = size - length;
        parts.push(chunk.subarray(0, rest));
        chunk = chunk.subarray(rest);
        yield complete();
      }
      if (chunk.length === 0) continue;
      parts.push(chunk);
      length += chunk.length;
      if (delayMs === 0) yield complete();
      else due ??= new Promise((resolve) => (timer = setTimeout(resolve, delayMs, undefined)));
    }
    isDone = true;
    if (length > 0) yield complete();
  } finally {
    clearTimeout(timer);
    if (!isDone) {
      // The end of the iteration does not wait for bytes that a client may never send.
      next?.catch(ignore);
      source.return?.().catch(ignore);
    }
  }
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : Buffer.concat(parts);
}

function ignore(): void {}
