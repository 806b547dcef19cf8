import { once } from "node:events";
import type { Busboy, BusboyFileStream, BusboyInstance } from "@fastify/busboy";
import { ConnectError, invalidArgument, toCallError } from "../../../../core/errors/errors.ts";
import type { FormOptions } from "../../options/form-options.ts";

/** One part of a form. */
export interface FormPart {
  /** The name of its field; undefined where it has none. */
  readonly name: string | undefined;
  /** Its media type in lower case, without parameters; `text/plain` where it names none. */
  readonly contentType: string;
  /** What the client called the file; undefined for parts that are none. */
  readonly fileName: string | undefined;
  /** Its bytes, once. What is left unread is dropped. */
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
 * The parts of a form in their order, as they come: the bytes of a part are read from the body while somebody takes
 * them, never more than a chunk ahead.
 *
 * Throws INVALID_ARGUMENT for a form that is broken, cut off, or has too many parts; errors of `body` as they are.
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
    form.leave();
  }
}

interface OpenPart extends FormPart {
  readonly stream: BusboyFileStream;
}

/** The parser of one form, with what it has found and nobody has taken. */
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
        isPartAFile: () => true, // Texts have their own limits, and their bytes are wanted as they are.
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

  /** Feeds the parser as fast as it takes bytes. */
  async pump(body: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of body) {
        if (this.#failure !== undefined || this.#isOver) return;
        if (!this.#parser.write(chunk)) await once(this.#parser, "drain");
      }
      this.#parser.end();
    } catch (reason) {
      this.#fail(toCallError(reason)); // An error of the parser was heard before.
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

  /** Nobody takes parts any more. */
  leave(): void {
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
      // Bytes come as Buffers where no text encoding is set.
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
    this.#parser.emit("drain"); // Whoever feeds it has to hear that it is over.
    this.#wake.resolve();
  }
}
