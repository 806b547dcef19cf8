import type { OutgoingHttpHeaders } from "node:http2";
import { Duplex } from "node:stream";
import type { ServerHttp3Stream } from "@currentspace/http3";
import { h3Code, h3CodeOf } from "./h3-codes.ts";
import { answerFields } from "./answer-fields.ts";

/** What a stream is made of. */
export interface Http3StreamParts {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly isHead: boolean;
  /** The length of the body as declared, in bytes; -1 for none. */
  readonly contentLength: number;
  /** Most bytes of a body that may wait for their reader. */
  readonly mostUnreadBytes: number;
  /** The package may forget the stream: nothing of it is to come. */
  readonly forget: () => void;
}

/** Options of `respond`, as `node:http2` has them. */
interface RespondOptions {
  readonly endStream?: boolean;
  readonly waitForTrailers?: boolean;
  readonly sendDate?: boolean;
}

/** The largest body that leaves with its head, in bytes: larger ones wait for the client as they are written. */
const mostTogetherBytes = 65_536;

/** A head whose body may follow at once. */
interface WaitingHead {
  readonly fields: Record<string, string | string[]>;
  readonly contentLength: number;
}

/**
 * A request over HTTP/3 in the shape of a stream of `node:http2`, so that Node's request and response for HTTP/2, and
 * with them Fastify, its hooks and its plugins, serve HTTP/3 too.
 *
 * What comes is taken from the package at once: a body that no one reads would be thrown away at its end. The package
 * cannot ask a client to wait, so a body of which too much waits for its reader ends the stream (H3_EXCESSIVE_LOAD).
 */
export class Http3Stream extends Duplex {
  /** Read by Node's response. */
  headersSent = false;
  readonly headRequest: boolean;
  /** Whether the client, or the end of its connection, has broken the stream off. */
  aborted = false;
  /** Without one, what Node shows as the socket of a request reads from this object. */
  readonly session = undefined;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly encrypted = true;
  sentHeaders: OutgoingHttpHeaders | undefined;
  readonly #stream: ServerHttp3Stream;
  readonly #parts: Http3StreamParts;
  #received = 0;
  /** Whether the answer has ended with its head, so that nothing of a body is sent. */
  #isBodyless = false;
  #withTrailers = false;
  /** Whether the package has the whole answer. */
  #isAnswered = false;
  #isClosed = false;
  #waitingHead: WaitingHead | undefined;

  constructor(stream: ServerHttp3Stream, parts: Http3StreamParts) {
    super();
    this.#stream = stream;
    this.#parts = parts;
    this.headRequest = parts.isHead;
    this.remoteAddress = parts.remoteAddress;
    this.remotePort = parts.remotePort;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("end", () => this.#requestEnds());
    stream.on("trailers", () => {}); // Trailers of requests mean nothing here.
    stream.on("error", () => {}); // The `close` event that follows reports it.
    stream.once("close", () => this.#innerClosed());
  }

  get id(): number {
    return this.#stream.id;
  }

  /** Whether the whole request has come. */
  get requestEnded(): boolean {
    return this.readableEnded;
  }

  /** Sends the head of the answer; as `node:http2`. @throws TypeError for a name or value that HTTP does not allow */
  respond(headers: OutgoingHttpHeaders = {}, options: RespondOptions = {}): void {
    const fields = answerFields(headers, options.sendDate !== false);
    const status = Number(fields[":status"]);
    this.headersSent = true;
    this.sentHeaders = headers;
    this.#withTrailers = options.waitForTrailers === true;
    this.#isBodyless =
      this.headRequest ||
      status === 204 ||
      status === 205 ||
      status === 304 ||
      (options.endStream === true && !this.#withTrailers);
    if (!this.#isBodyless) {
      this.#sendHead(fields);
      return;
    }
    this.#isAnswered = true;
    this.#stream.respondWithBody(fields, nothing);
  }

  /** Sends a head before that of the answer. The package has no such heads: clients do not wait for `100` for long. */
  additionalHeaders(): void {}

  /** Called by Node's response when the body has ended. */
  sendTrailers(trailers: OutgoingHttpHeaders): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    const fields = answerFields(trailers, false);
    if (Object.keys(fields).length === 0) this.#stream.end();
    else this.#stream.sendTrailers(fields);
  }

  setTimeout(): this {
    return this; // Time limits are the gateway's.
  }

  /** Ends the stream in both directions, with a code of HTTP/2. */
  close(code = 0): void {
    this.closeWith(h3CodeOf(code));
  }

  /** Ends the stream in both directions, with a code of HTTP/3. */
  closeWith(code: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.#stream.destroyed) this.#stream.close(code);
    this.#parts.forget();
    this.destroy();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#isBodyless || this.#isAnswered || !this.headersSent) done();
    else if (this.#stream.destroyed) done(new Error("the stream is closed"));
    else if (this.#waitingHead?.contentLength === chunk.length)
      this.#sendWhole(this.#waitingHead.fields, chunk, done);
    else {
      this.#releaseHead();
      this.#stream.write(chunk, done);
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#isAnswered || this.#stream.destroyed) {
      done();
      return;
    }
    this.#releaseHead();
    if (this.#withTrailers) {
      this.emit("wantTrailers");
      if (!this.#isAnswered) this.sendTrailers({});
      done();
      return;
    }
    this.#isAnswered = true;
    this.#stream.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      const stream = this.#stream;
      if (this.#isAnswered && this.readableEnded) {
        // The package thinks that a stream with trailers is still open for writing.
        if (!stream.writableEnded) stream.destroy();
      } else if (!stream.destroyed) {
        stream.close(h3Code.internalError);
        this.#parts.forget();
      }
    }
    done(error);
  }

  /** Head, body and end together are one command to the package, and mostly one packet: each by itself costs as much. */
  #sendHead(fields: WaitingHead["fields"]): void {
    const contentLength = this.#withTrailers ? 0 : Number(fields["content-length"] ?? 0);
    if (contentLength > 0 && contentLength <= mostTogetherBytes) {
      this.#waitingHead = { fields, contentLength };
      process.nextTick(Http3Stream.#release, this);
    } else this.#stream.respond(fields);
  }

  #sendWhole(fields: WaitingHead["fields"], body: Buffer, done: () => void): void {
    this.#waitingHead = undefined;
    this.#isAnswered = true;
    this.#stream.respondWithBody(fields, body);
    done();
  }

  #releaseHead(): void {
    const head = this.#waitingHead;
    this.#waitingHead = undefined;
    if (head !== undefined && !this.#stream.destroyed) this.#stream.respond(head.fields);
  }

  static readonly #release = (stream: Http3Stream): void => stream.#releaseHead();

  #receive(chunk: Buffer): void {
    if (this.destroyed) return;
    this.#received += chunk.length;
    const { contentLength, mostUnreadBytes } = this.#parts;
    if (contentLength >= 0 && this.#received > contentLength) {
      this.closeWith(h3Code.messageError);
      return;
    }
    this.push(chunk);
    if (this.readableLength > mostUnreadBytes) this.closeWith(h3Code.excessiveLoad);
  }

  #requestEnds(): void {
    if (this.destroyed) return;
    const { contentLength } = this.#parts;
    if (contentLength >= 0 && this.#received !== contentLength) this.closeWith(h3Code.messageError);
    else this.push(null);
  }

  #innerClosed(): void {
    if (this.#isClosed || (this.#isAnswered && this.#stream.readableEnded)) return;
    this.#isClosed = true;
    this.aborted = true;
    this.emit("aborted");
    this.destroy();
  }
}

const nothing = Buffer.alloc(0);
