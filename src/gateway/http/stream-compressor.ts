import type { Transform } from "node:stream";
import { constants, createBrotliCompress, createGzip, createZstdCompress, type Zlib } from "node:zlib";

/** Content codings of streamed answers. */
export type StreamCoding = "gzip" | "br" | "zstd";

/** Node's compressing streams as far as they are alike. */
type Compressing = Transform & Pick<Zlib, "flush">;

/** Level and quality of codings where a message has to leave at once: small and fast, as in a web server. */
const makers: Readonly<Record<StreamCoding, () => Compressing>> = {
  gzip: () => createGzip({ level: 6 }),
  br: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  zstd: () => createZstdCompress(),
};

const flushes: Readonly<Record<StreamCoding, number>> = {
  gzip: constants.Z_SYNC_FLUSH,
  br: constants.BROTLI_OPERATION_FLUSH,
  zstd: constants.ZSTD_e_flush,
};

/** Compresses one answer piece by piece: what goes in by a `write` can be read from what comes out of it. */
export class StreamCompressor {
  readonly #stream: Compressing;
  readonly #flush: number;
  #output: Buffer[] = [];
  #fail: ((error: Error) => void) | undefined;

  constructor(coding: StreamCoding) {
    this.#stream = makers[coding]();
    this.#flush = flushes[coding];
    this.#stream.on("data", (bytes: Buffer) => this.#output.push(bytes));
    this.#stream.on("error", (error) => this.#fail?.(error));
  }

  /** The compressed form of `bytes`, complete. Wait for it before the next write. */
  write(bytes: Uint8Array): Promise<Buffer> {
    return this.#run((done) => {
      this.#stream.write(bytes);
      this.#stream.flush(this.#flush, done);
    });
  }

  /** The last bytes. */
  end(): Promise<Buffer> {
    return this.#run((done) => {
      this.#stream.once("end", done);
      this.#stream.end();
    });
  }

  /** Frees what the compression holds. */
  close(): void {
    this.#stream.destroy();
    this.#fail?.(new Error("the compression was closed"));
  }

  #run(start: (done: () => void) => void): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      start(() => {
        this.#fail = undefined;
        const bytes = Buffer.concat(this.#output);
        this.#output = [];
        resolve(bytes);
      });
    });
  }
}
