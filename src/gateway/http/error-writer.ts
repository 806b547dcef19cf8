import type { Registry } from "@bufbuild/protobuf";
import type { CallContext } from "../../core/call/context.ts";
import { ConnectError, toCallError } from "../../core/errors/errors.ts";
import { retryAfterMsOf } from "../../core/errors/retry-info.ts";
import type { FaultLog } from "../../core/call/fault-log.ts";
import {
  asStatus,
  detailsToJson,
  errorFormatter,
  type ErrorBody,
  type ErrorFormat,
  type ErrorFormatter,
} from "./error-body.ts";
import {
  type HttpExchange,
  type RequestHead,
  type ResponseHeaders,
  type ResponseTrailers,
  setField,
} from "./exchange.ts";
import { isForbiddenTrailer } from "./header-names.ts";
import { HttpError } from "./http-error.ts";
import { httpAnswerOf, type HttpAnswer, ownHttpStatus } from "../../core/errors/http-answer.ts";
import { httpStatusOf } from "../../core/errors/http-status.ts";
import type { ReplyMetadata } from "./reply-metadata.ts";
import { ownMetadata } from "../../core/call/invoker.ts";
import { pathOf } from "../../core/net/request-target.ts";
import { acceptsTrailers } from "./trailers-wanted.ts";

/** An error as an HTTP reply. */
export interface ErrorReply {
  readonly status: number;
  /** Names in lower case; `content-type` among them, `content-length` not. */
  readonly headers: ResponseHeaders;
  readonly body: string;
}

/** Options of `ErrorWriter`. */
export interface ErrorWriterOptions {
  readonly errorFormat: ErrorFormat;
  /** `WWW-Authenticate` of 401 replies whose error has none. */
  readonly challenge: string;
  readonly metadata: ReplyMetadata;
  /** The log of unexpected exceptions. */
  readonly faults: FaultLog;
}

/** The only place where errors become HTTP replies: errors of services, of the gateway and of the engine below it. */
export class ErrorWriter {
  readonly #format: ErrorFormatter;
  readonly #challenge: string;
  readonly #metadata: ReplyMetadata;
  /** The log of unexpected exceptions. */
  readonly faults: FaultLog;
  #registry: Registry | undefined;

  /** @throws TypeError for an unknown format */
  constructor(options: ErrorWriterOptions) {
    this.#format = errorFormatter(options.errorFormat);
    this.#challenge = options.challenge;
    this.#metadata = options.metadata;
    this.faults = options.faults;
  }

  /** From now on decodes details of these types too, besides the standard ones. */
  useRegistry(registry: Registry | undefined): void {
    this.#registry = registry;
  }

  /**
   * Converts anything thrown into the error that clients get. An unexpected exception is written to the log, unless it
   * was logged before. Never throws.
   *
   * @param exchange the exchange in which it was thrown
   */
  toError(reason: unknown, { call, head }: Pick<HttpExchange, "call" | "head">): ConnectError {
    const error = toGatewayError(reason);
    setFailure(head, error);
    if (call === undefined) this.faults.request(error, `${head.method} ${pathOf(head.url)}`);
    else this.faults.call(error, call);
    return error;
  }

  /** Converts anything thrown into a reply. Never throws. */
  toReply(reason: unknown): ErrorReply {
    return this.#toReply(toGatewayError(reason), undefined).reply;
  }

  /**
   * The reply to the request of `exchange`, with the headers and trailers of its call. Undefined: a reply without an
   * exchange.
   */
  #toReply(
    error: ConnectError,
    exchange: HttpExchange | undefined,
  ): { readonly reply: ErrorReply; readonly trailers: ResponseTrailers } {
    const answer = httpAnswerOf(error);
    if (answer !== undefined) return { reply: replyOf(answer), trailers: [] };
    const status =
      error instanceof HttpError ? error.status : (ownHttpStatus(error) ?? httpStatusOf(error.code));
    const isSecret = exchange?.call?.envelope !== undefined;
    const { contentType, body } = this.#body(error, status, isSecret);
    const { headers, trailers } = this.#fields(error, status, exchange);
    return { reply: { status, headers: { ...headers, "content-type": contentType }, body }, trailers };
  }

  /**
   * Converts anything thrown into `google.rpc.Status` as JSON on one line, for answers that have begun. Never throws.
   */
  statusText(reason: unknown): string {
    const error = toGatewayError(reason);
    return asStatus(error, httpStatusOf(error.code), detailsToJson(error, this.#registry)).body;
  }

  /** Answers with an error, unless an answer has begun or the client has disconnected. Never throws. */
  send(exchange: HttpExchange, reason: unknown): void {
    const error = this.toError(reason, exchange);
    if (exchange.answered) return;
    const {
      reply: { status, headers: all, body },
      trailers,
    } = this.#toReply(error, exchange);
    const { connection, ...headers } = all;
    if (connection === "close") exchange.closeAfter(); // Writes the header if the HTTP version has it.
    try {
      exchange.respond(status, headers, body, trailers);
    } catch {
      exchange.destroy(); // A header of a hook or of an error format cannot be written.
    }
  }

  /** @param isSecret whether the bodies of the call are encrypted: details could repeat what is in them */
  #body(error: ConnectError, status: number, isSecret: boolean): ErrorBody {
    const details = isSecret ? [] : detailsToJson(error, this.#registry);
    try {
      const { contentType, body } = this.#format(error, status, details);
      if (typeof contentType === "string" && typeof body === "string") return { contentType, body };
    } catch {
      // A format of the user's own that fails must not hide the error.
    }
    return asStatus(error, status, details);
  }

  /**
   * The headers of an error and, if the client accepts trailers, its trailers. Metadata of the error that is in neither
   * headers nor trailers of its call counts as trailers, as in a call over gRPC.
   */
  #fields(
    error: ConnectError,
    status: number,
    exchange: HttpExchange | undefined,
  ): { readonly headers: ResponseHeaders; readonly trailers: ResponseTrailers } {
    const headers: ResponseHeaders = {};
    const trailers: [name: string, value: string][] = [];
    const set = (name: string, value: string): void => setField(headers, name, value);
    if (error instanceof HttpError) for (const [name, value] of error.metadata) set(name, value);
    else if (exchange !== undefined && acceptsTrailers(exchange.head)) {
      const { responseHeaderIfAny: header, responseTrailerIfAny: trailer } = exchange.call ?? {};
      const rest = joined(trailer, ownMetadata(error, header, trailer));
      if (header !== undefined) this.#metadata.headers(header, set);
      this.#metadata.trailersAsHeaders(rest, (name, value) => {
        if (isForbiddenTrailer(name)) set(name, value);
        else trailers.push([name, value]);
      });
    } else this.#metadata.headers(allMetadata(error, exchange?.call), set);
    if (status === 401) headers["www-authenticate"] ??= this.#challenge;
    if (status === 429 || status === 503) {
      const seconds = retryAfter(error);
      if (seconds !== undefined) headers["retry-after"] ??= seconds;
    }
    return { headers, trailers };
  }
}

function replyOf({ status, headers: fields, body }: HttpAnswer): ErrorReply {
  const headers: ResponseHeaders = { "content-type": "text/plain" };
  for (const [name, value] of fields) setField(headers, name, value);
  return { status, headers, body };
}

/**
 * All metadata of a failed call. An error that ended the call from outside, such as a passed deadline, does not contain
 * the headers of the call.
 */
function allMetadata(error: ConnectError, context: CallContext | undefined): Headers {
  const { responseHeaderIfAny: header, responseTrailerIfAny: trailer } = context ?? {};
  if (header === undefined && trailer === undefined) return error.metadata;
  return joined(header, trailer, ownMetadata(error, header, trailer));
}

function joined(...parts: readonly (Headers | undefined)[]): Headers {
  const all = new Headers();
  for (const part of parts) if (part !== undefined) for (const [name, value] of part) all.append(name, value);
  return all;
}

/** Records with which error a request was answered. */
export function setFailure(head: RequestHead, error: ConnectError): void {
  head.failure = error;
  if (head.record !== undefined) head.record.failure = error;
}

/** Errors of the engine and its plugins have a status; their texts are sent only if the client is at fault. */
function toGatewayError(reason: unknown): ConnectError {
  if (reason instanceof Error && !(reason instanceof ConnectError) && "statusCode" in reason) {
    const status = reason.statusCode;
    if (typeof status === "number" && ((status >= 400 && status < 500) || status === 503)) {
      return new HttpError(status, reason.message);
    }
  }
  return toCallError(reason);
}

/** Whole seconds of an error's `google.rpc.RetryInfo`, rounded up; undefined without one that can be read. */
export function retryAfter(error: ConnectError): string | undefined {
  const ms = error.details.length === 0 ? undefined : retryAfterMsOf(error);
  return ms === undefined || ms < 0 ? undefined : String(Math.ceil(ms / 1_000));
}
