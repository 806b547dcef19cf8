/** A header block that violates RFC 7541: the connection cannot go on, since both sides' tables may differ now. */
export class CompressionError extends Error {
  override readonly name = "CompressionError";
}
