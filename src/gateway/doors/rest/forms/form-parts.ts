import { once } from "node:events";
import type { Busboy, BusboyFileStream, BusboyInstance } from "@fastify/busboy";
import { ConnectError, invalidArgument, toCallError } from "../../../../core/errors/errors.ts";
import type { FormOptions } from "../../options/form-options.ts";

/** One part of a form. */
export interface FormPart {
  /** The name of its field; undefined if it has none. */
  readonly name: string | undefined;
  /** Its media type in lower case, without parameters; `text/plain` if it has none. */
  readonly contentType: string;
  /** The client's name of the file; undefined for parts that are not files. */
  readonly fileName: string | undefined;
  /** Its bytes, to be read once. Unread bytes are discarded. */
  readonly chunks: AsyncIterable<Buffer>;
}

const formType = /^\s*multipart\/form-data\s*(?:;|$)/i;

/** Whether a body of this `Content-Type` is a form with parts (RFC 7578). */
export function isForm(contentType: string | undefined): boolean {
  return contentType !== undefined && formType.test(contentType);
}

/** The largest header block of a part, in bytes, and the most header fields. */
const partHeaders = { headerSize: 16_384, headerPairs: 50 };

/**
 * The parts of a form in their order, as they arrive: the bytes of a part are read from the body on demand, at most one
 * chunk ahead.
 *
 * Throws INVALID_ARGUMENT for a form that is malformed, truncated, or has too many parts; errors of `body` are passed
 * through.
 */
export async function* formParts(
  contentType: string,
  body: AsyncIterable<Uint8Array>,
  { maxFormParts }: Pick<FormOptions, "maxFormParts">,
): AsyncGenerator<FormPart, void, undefined> {
  const parser = await import("@fastify/busboy"); // Loaded for the first form.
  const form = new OpenForm(parser.Busboy, contentType, maxFormParts);
  void form.pump(body);
  try {
    for (;;) {
      const part = await form.next();
      if (part === undefined) return;
      yield part;
      part.stream.resume();
    }
  } finally {
    form.close();
  }
}

interface OpenPart extends FormPart {
  readonly stream: BusboyFileStream;
}

/** The parser of one form, with the found parts that have not been read. */
class OpenForm {
  readonly #parser: BusboyInstance;
  readonly #queue: OpenPart[] = [];
  readonly #streams = new Set<BusboyFileStream>();
  #failure: ConnectError | undefined;
  #isOver = false;
  #wake = Promise.withResolvers<void>();

  constructor(Parser: typeof Busboy, contentType: string, maxFormParts: number) {
    try {
      this.#parser = new Parser({
        headers: { "content-type": contentType },
        isPartAFile: () => true, // The parser would limit text parts and decode them.
        limits: { ...partHeaders, parts: maxFormParts, files: maxFormParts },
      });
    } catch {
      throw invalidArgument("the content type of the form has no boundary");
    }
    this.#parser.on("file", (name, stream, fileName, _encoding, type) =>
      this.#found(name, stream, fileName, type),
    );
    const tooMany = (): void => this.#fail(invalidArgument(`the form has more than ${maxFormParts} parts`));
    this.#parser.on("partsLimit", tooMany).on("filesLimit", tooMany);
    this.#parser.on("error", (reason: unknown) => this.#fail(reason));
    this.#parser.on("finish", () => {
      this.#isOver = true;
      this.#wake.resolve();
    });
  }

  /** Writes the body to the parser, with back-pressure. */
  async pump(body: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of body) {
        if (this.#failure !== undefined || this.#isOver) return;
        if (!this.#parser.write(chunk)) await once(this.#parser, "drain");
      }
      this.#parser.end();
    } catch (reason) {
      this.#fail(toCallError(reason)); // Errors of the parser are handled by its "error" listener.
    }
  }

  /** The next part; undefined at the end. */
  async next(): Promise<OpenPart | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const part = this.#queue.shift();
      if (part !== undefined || this.#isOver) return part;
      this.#wake = Promise.withResolvers();
      await this.#wake.promise;
    }
  }

  /** No more parts are read. */
  close(): void {
    if (!this.#isOver) this.#fail(invalidArgument("the form was not read to its end"));
  }

  #found(
    name: string | undefined,
    stream: BusboyFileStream,
    fileName: string | undefined,
    type: string | undefined,
  ): void {
    this.#streams.add(stream);
    stream.on("error", (reason) => this.#fail(reason));
    stream.on("close", () => this.#streams.delete(stream));
    const contentType = type?.toLowerCase() ?? "text/plain";
    this.#queue.push({ name, contentType, fileName, chunks: this.#read(stream), stream });
    this.#wake.resolve();
  }

  async *#read(stream: BusboyFileStream): AsyncGenerator<Buffer, void, undefined> {
    try {
      // Without a text encoding, streams emit Buffers.
      for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
    } catch (reason) {
      throw this.#failure ?? reason;
    }
  }

  #fail(reason: unknown): void {
    if (this.#failure !== undefined) return;
    const text = reason instanceof Error ? reason.message : "malformed parts";
    const failure = reason instanceof ConnectError ? reason : invalidArgument(`the form is broken: ${text}`);
    this.#failure = failure;
    for (const stream of this.#streams) stream.destroy(failure);
    this.#parser.destroy();
    this.#parser.emit("drain"); // Ends the wait in `pump`.
    this.#wake.resolve();
  }
}
