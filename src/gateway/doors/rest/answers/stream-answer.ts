import type { Message } from "@bufbuild/protobuf";
import type { ReadReplies, ReplyBatch } from "../../../../core/call/batches.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import { Code, ConnectError } from "../../../../core/errors/errors.ts";
import { toStatusMessage } from "../../../../core/errors/status-message.ts";
import { positionHeader, resetHeader } from "../../../../core/metadata/stream-position.ts";
import type { SharedBytes } from "../../../../core/wire/shared-bytes.ts";
import type { ErrorWriter } from "../../../http/error-writer.ts";
import { incompleteAnswer } from "../../../http/disconnect-error.ts";
import {
  type HttpExchange,
  type ResponseBody,
  type ResponseHeaders,
  setField,
} from "../../../http/exchange.ts";
import { isForbiddenTrailer } from "../../../http/header-names.ts";
import { type ReplyMetadata, successStatus } from "../../../http/reply-metadata.ts";
import { acceptsTrailers } from "../../../http/trailers-wanted.ts";
import type { ByteAnswer } from "./answer.ts";
import type { Coding } from "../../../../core/wire/codings/coding.ts";
import type { StreamEncoder, StreamEncoding, Trailers } from "./stream-encoding.ts";
import type { StreamOptions } from "../../options/stream-options.ts";
import { StreamWriter } from "../../../http/stream-writer.ts";

/** The parts of a `StreamAnswer`. */
export interface StreamAnswerInit {
  readonly encoding: StreamEncoding;
  readonly encoder: StreamEncoder;
  /** Prints messages in binary form by the encoder. */
  readonly read: ReadReplies<string | Buffer>;
  readonly context: CallContext;
  readonly exchange: HttpExchange;
  readonly errors: ErrorWriter;
  readonly replyMetadata: ReplyMetadata;
  readonly options: StreamOptions;
  /** HTTP status of success, where the service sets no other. */
  readonly usualStatus: number;
  /** Whether the client should come back after an error before the first message. Default: it is told the status. */
  readonly comesBack?: ((error: ConnectError) => boolean) | undefined;
  /** How the answer is compressed. Default: not at all. */
  readonly coding?: Coding | undefined;
}

/** `waiting`: the head is not sent; `open`: it is; `over`: the answer has ended. */
type State = { readonly kind: "waiting" } | OpenState | { readonly kind: "over" };

interface OpenState {
  readonly kind: "open";
  readonly body: ResponseBody;
  readonly writer: StreamWriter;
}

/**
 * How long the head waits after the upstream's response headers have arrived, in milliseconds: its first message, or
 * its error, often follows at once.
 */
const settleMs = 20;

/** An answer that sends each message as soon as it is written. */
export class StreamAnswer implements ByteAnswer<string | Buffer | SharedBytes> {
  readonly #init: StreamAnswerInit;
  readonly #exchange: HttpExchange;
  #state: State = { kind: "waiting" };
  #flushTimer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #stopping = false;
  /** Whether the client knows where the stream has begun. */
  #isPlaced = false;
  /** The position that was said last, without a message. */
  #position: string | undefined;

  constructor(init: StreamAnswerInit) {
    const { context, exchange, options } = init;
    this.#init = init;
    this.#exchange = exchange;
    this.#beginWithin(options.headerFlushMs);
    context.onResponseHeader(() => {
      this.#beginWithin(Math.min(options.headerFlushMs, settleMs));
      if (this.#state.kind === "open") this.#write(this.#state.writer, this.#placeText());
    });
    const { encoder } = init;
    if (!encoder.reportsErrors) return;
    const reopens = encoder.stop !== undefined;
    const stop = (reason: ConnectError): void => {
      this.#stopping = true;
      if (reopens) this.begin();
      context.abort(reason);
    };
    exchange.onStop = stop;
    const { stopping } = exchange;
    if (reopens && stopping !== undefined) stop(stopping);
  }

  begin(): void {
    const body = this.#open();
    if (this.#init.encoder.opening === "") body?.flushHeaders();
  }

  #beginWithin(timeoutMs: number): void {
    clearTimeout(this.#flushTimer);
    if (this.#state.kind === "waiting") this.#flushTimer = setTimeout(() => this.begin(), timeoutMs);
  }

  /**
   * Prepares the head, which is sent with the first text. Returns the body; undefined if this was done before or the
   * client has disconnected.
   */
  #open(): ResponseBody | undefined {
    if (this.#state.kind !== "waiting") return undefined;
    clearTimeout(this.#flushTimer);
    const { encoder, options, coding, context } = this.#init;
    const exchange = this.#exchange;
    if (exchange.destroyed) return undefined; // The disconnect cancels the call.
    const body = this.#writeHead();
    const writer = new StreamWriter(body, options, coding);
    this.#state = { kind: "open", body, writer };
    if (exchange.head.method === "HEAD") {
      context.abort(new ConnectError("only the head of the answer was asked for", Code.Canceled));
      return body;
    }
    this.#write(writer, encoder.opening + this.#placeText());
    const { heartbeat } = encoder;
    if (heartbeat !== undefined) {
      this.#heartbeat = setInterval(() => {
        if (!writer.busy) this.#write(writer, this.#heartbeatText(heartbeat));
      }, options.heartbeatMs);
    }
    return body;
  }

  #write(writer: StreamWriter, text: string): void {
    if (text !== "") void writer.write(text)?.catch(nothing);
  }

  /** Where the stream begins, as soon as that is known; empty where it is not, or was said. */
  #placeText(): string {
    const { context, encoder } = this.#init;
    if (encoder.place === undefined || this.#isPlaced) return "";
    const header = context.responseHeaderIfAny;
    const position = header?.get(positionHeader);
    if (header === undefined || position === undefined || position === null) return "";
    this.#isPlaced = true;
    this.#position = position;
    return encoder.place.begin(position, resetsOf(header.get(resetHeader)));
  }

  #heartbeatText(usual: string): string {
    const { context, encoder } = this.#init;
    const position = context.streamPlace?.settledText();
    if (encoder.place === undefined || position === undefined || position === this.#position) return usual;
    this.#position = position;
    return encoder.place.heartbeat(position);
  }

  write(message: Message): string | SharedBytes {
    const { encoder, coding } = this.#init;
    // What is compressed differs from client to client.
    return (coding === undefined ? encoder.shared?.(message) : undefined) ?? encoder.message(message);
  }

  read(batch: ReplyBatch): string | Buffer {
    return this.#init.read(batch);
  }

  message(text: string | Buffer | SharedBytes): Promise<void> | undefined {
    this.#open();
    if (this.#state.kind !== "open") return Promise.reject(incompleteAnswer());
    if (this.#exchange.head.method === "HEAD") return undefined;
    const { writer } = this.#state;
    if (!writer.gathers) this.#heartbeat?.refresh(); // Once a turn: it reads the clock.
    return writer.write(text);
  }

  async end(): Promise<void> {
    this.#open();
    const open = this.#finish();
    if (open === undefined) return;
    const { context, encoder } = this.#init;
    const trailer = context.responseTrailerIfAny;
    await this.#last(open, encoder.end(this.#visible(trailer)), trailer, undefined);
  }

  async fail(reason: unknown): Promise<void> {
    const { errors, encoder, exchange, comesBack } = this.#init;
    if (this.#state.kind === "waiting" && encoder.stop !== undefined && comesBack !== undefined) {
      if (comesBack(errors.toError(reason, exchange))) {
        this.#stopping = true;
        this.begin();
      }
    }
    const open = this.#finish();
    if (open === undefined) {
      errors.send(exchange, reason);
      return;
    }
    const { writer } = open;
    if (writer.failure !== undefined) return;
    if (exchange.head.method === "HEAD") {
      await writer.end();
      return;
    }
    const error = errors.toError(reason, exchange);
    const text = this.#stopping && encoder.stop !== undefined ? encoder.stop(error) : encoder.error(error);
    if (text === undefined) await writer.cut();
    else await this.#last(open, text, error.metadata, error);
  }

  /** Ends the answer's wait for messages; returns its state if the head was sent. */
  #finish(): OpenState | undefined {
    clearTimeout(this.#flushTimer);
    clearInterval(this.#heartbeat);
    this.#exchange.onStop = undefined;
    const state = this.#state;
    this.#state = { kind: "over" };
    return state.kind === "open" ? state : undefined;
  }

  /** Sends the last text, and the status also in trailers if the client accepts them. */
  async #last(
    { body, writer }: OpenState,
    text: string,
    trailer: Headers | undefined,
    error: ConnectError | undefined,
  ): Promise<void> {
    try {
      if (text !== "") await writer.write(text);
    } catch {
      return; // The client has disconnected.
    }
    if (acceptsTrailers(this.#exchange.head) && !body.destroyed) {
      body.addTrailers({
        ...Object.fromEntries(
          Object.entries(this.#visible(trailer)).filter(([name]) => !isForbiddenTrailer(name)),
        ),
        "Grpc-Status": String(error?.code ?? 0),
        ...(error === undefined ? {} : { "Grpc-Message": encodeURI(toStatusMessage(error.rawMessage)) }),
      });
    }
    await writer.end();
  }

  #writeHead(): ResponseBody {
    const { context, encoding, replyMetadata, coding, usualStatus } = this.#init;
    const headers: ResponseHeaders = {};
    const set = (name: string, value: string): void => setField(headers, name, value);
    const header = context.responseHeaderIfAny;
    if (header !== undefined) replyMetadata.headers(header, set);
    Object.assign(headers, encoding.headers, { "content-type": encoding.contentType });
    if (coding !== undefined) headers["content-encoding"] = coding.name;
    setField(headers, "vary", "accept");
    if (acceptsTrailers(this.#exchange.head)) headers["trailer"] = "Grpc-Status, Grpc-Message";
    const status = header === undefined ? usualStatus : successStatus(header, usualStatus);
    return this.#exchange.respondInParts(
      status > 205 || status === 204 || status === 205 ? 200 : status,
      headers,
    );
  }

  #visible(trailer: Headers | undefined): Trailers {
    if (trailer === undefined) return {};
    const names: Record<string, string> = {};
    this.#init.replyMetadata.trailersAsHeaders(trailer, (name, value) => (names[name] = value));
    return names;
  }
}

/** The JSON texts of an array; none for what is no array. */
function resetsOf(text: string | null): readonly string[] {
  if (text === null) return [];
  try {
    const resets: unknown = JSON.parse(text);
    return Array.isArray(resets) ? resets.map((reset) => JSON.stringify(reset)) : [];
  } catch {
    return []; // Of an upstream that means something else by the header.
  }
}

function nothing(): void {}
