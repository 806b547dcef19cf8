import type { DescMethod } from "@bufbuild/protobuf";

/**
 * How long the first byte of a piece of an upload may wait for more, in milliseconds: a recording or a log arrives while
 * it is sent, and a file comes in whole pieces all the same. The messages of a bidi rpc do not wait at all.
 */
export function pieceDelayMs({ methodKind }: DescMethod): number {
  return methodKind === "bidi_streaming" ? 0 : 20;
}

/**
 * Cuts bytes into pieces of `size` bytes; nothing for no bytes. A piece that is not full is passed on when `delayMs` have
 * passed since its first byte, and at the end.
 *
 * @param delayMs in milliseconds; 0 gives what has come at once
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
  /** Resolves when the piece at hand has waited long enough; undefined while there is none. */
  let due: Promise<undefined> | undefined;
  const take = (): Buffer => {
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
        yield take();
        continue;
      }
      next = undefined;
      if (result.done === true) break;
      let chunk = result.value;
      while (length + chunk.length >= size) {
        const rest = size - length;
        parts.push(chunk.subarray(0, rest));
        chunk = chunk.subarray(rest);
        yield take();
      }
      if (chunk.length === 0) continue;
      parts.push(chunk);
      length += chunk.length;
      if (delayMs === 0) yield take();
      else due ??= new Promise((resolve) => (timer = setTimeout(resolve, delayMs, undefined)));
    }
    isDone = true;
    if (length > 0) yield take();
  } finally {
    clearTimeout(timer);
    if (!isDone) {
      // Whoever leaves does not wait for bytes that a client may never send.
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
