import type { Coding, Compressor } from "../../core/wire/codings/coding.ts";

/** Compresses one answer in chunks: the bytes of each `write` can be decompressed from its result and those before. */
export class StreamCompressor {
  readonly #stream: Compressor;
  readonly #flushKind: number;
  #output: Buffer[] = [];
  #fail: ((error: Error) => void) | undefined;

  constructor(coding: Coding) {
    this.#stream = coding.compressor();
    this.#flushKind = coding.flushKind;
    this.#stream.on("data", (bytes: Buffer) => this.#output.push(bytes));
    this.#stream.on("error", (error) => this.#fail?.(error));
  }

  /** The compressed form of `bytes`, complete. Wait for it before the next write. */
  write(bytes: Uint8Array): Promise<Buffer> {
    return this.#run((done) => {
      this.#stream.write(bytes);
      this.#stream.flush(this.#flushKind, done);
    });
  }

  /** The last bytes. */
  end(): Promise<Buffer> {
    return this.#run((done) => {
      this.#stream.once("end", done);
      this.#stream.end();
    });
  }

  /** Releases the memory of the compression. */
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
