import { SetupError } from "../../../core/errors/setup-error.ts";

/** Options of raw bodies. */
export interface RawBodyOptions {
  /**
   * The most data of one message of a streamed upload, in bytes; a message has less at the end, and where its first byte
   * has waited 20 ms for more. Default: 256 KiB.
   */
  readonly uploadChunkBytes: number;
}

/** The defaults of `RawBodyOptions`. */
export const rawBodyDefaults: RawBodyOptions = Object.freeze({ uploadChunkBytes: 256 * 1024 });

/** @throws TypeError for sizes that no upload can be cut into */
export function checkRawBodyOptions({ uploadChunkBytes }: RawBodyOptions): void {
  if (!Number.isInteger(uploadChunkBytes) || uploadChunkBytes < 1) {
    throw new SetupError(`uploadChunkBytes: ${uploadChunkBytes} is no number of bytes from 1 on`);
  }
}
