/**
 * Cuts bytes into pieces, each of them `size` bytes but the last; nothing for no bytes.
 *
 * @param eager gives what has come without waiting for a whole piece, so that pieces may be shorter
 */
export async function* pieces(
  chunks: AsyncIterable<Buffer>,
  size: number,
  eager: boolean,
): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    while (length + chunk.length - start >= size) {
      const end = start + size - length;
      parts.push(chunk.subarray(start, end));
      yield joined(parts);
      parts = [];
      length = 0;
      start = end;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (!eager) continue;
    yield joined(parts);
    parts = [];
    length = 0;
  }
  if (length > 0) yield joined(parts);
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : Buffer.concat(parts);
}
