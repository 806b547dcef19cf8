import { SetupError } from "../../../core/errors/setup-error.ts";

/** Options of raw bodies. */
export interface RawBodyOptions {
  /**
   * The most data of one message of a streamed upload, in bytes. A message has less at the end of the upload, and when
   * its first byte was received 20 ms ago. Default: 256 KiB.
   */
  readonly uploadChunkBytes: number;
}

/** The defaults of `RawBodyOptions`. */
export const rawBodyDefaults: RawBodyOptions = Object.freeze({ uploadChunkBytes: 256 * 1024 });

/** @throws SetupError for a size that is not a positive integer */
export function checkRawBodyOptions({ uploadChunkBytes }: RawBodyOptions): void {
  if (!Number.isInteger(uploadChunkBytes) || uploadChunkBytes < 1) {
    throw new SetupError(`uploadChunkBytes: ${uploadChunkBytes} is no number of bytes from 1 on`);
  }
}
