import { fromBinary, type Registry } from "@bufbuild/protobuf";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { ConnectError, toCallError, toStatus } from "../core/errors.ts";
import {
  asStatus,
  detailsToJson,
  errorFormatter,
  type ErrorBody,
  type ErrorFormat,
  type ErrorFormatter,
} from "./error-body.ts";
import { HttpError } from "./http-error.ts";
import { httpStatusOf } from "./http-status.ts";
import type { WholeReply } from "./plain-reply.ts";
import type { ReplyMetadata } from "./reply-metadata.ts";

/** An error as an HTTP reply. */
export interface ErrorReply {
  readonly status: number;
  /** Names in lower case; `content-type` among them, `content-length` not. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string;
}

/** Options of `ErrorWriter`. */
export interface ErrorWriterOptions {
  readonly errorFormat: ErrorFormat;
  /** `WWW-Authenticate` of 401 replies whose error brings none. */
  readonly challenge: string;
  readonly metadata: ReplyMetadata;
}

/** The one place where errors become HTTP replies: those of services, of the gateway and of the engine under it. */
export class ErrorWriter {
  readonly #format: ErrorFormatter;
  readonly #challenge: string;
  readonly #metadata: ReplyMetadata;
  #registry: Registry | undefined;

  /** @throws TypeError for an unknown format */
  constructor(options: ErrorWriterOptions) {
    this.#format = errorFormatter(options.errorFormat);
    this.#challenge = options.challenge;
    this.#metadata = options.metadata;
  }

  /** Reads details of these types from now on, beside the standard ones. */
  useRegistry(registry: Registry | undefined): void {
    this.#registry = registry;
  }

  /** Anything thrown, as a reply. Never throws. */
  toReply(reason: unknown): ErrorReply {
    const error = toGatewayError(reason);
    const status = error instanceof HttpError ? error.status : httpStatusOf(error.code);
    const { contentType, body } = this.#body(error, status);
    return { status, headers: { ...this.#headers(error, status), "content-type": contentType }, body };
  }

  /** An error as `google.rpc.Status` in JSON on one line, for answers that have begun. Never throws. */
  statusText(reason: unknown): string {
    const error = toGatewayError(reason);
    return asStatus(error, httpStatusOf(error.code), detailsToJson(error, this.#registry)).body;
  }

  /** Answers with an error, unless an answer has begun or nobody is there any more. */
  send(reply: WholeReply, reason: unknown): void {
    if (reply.sent || reply.raw.headersSent || reply.raw.destroyed) return;
    const { status, headers: all, body } = this.toReply(reason);
    const { connection, ...headers } = all;
    if (connection === "close") reply.raw.shouldKeepAlive = false; // Which writes it, where HTTP has it.
    try {
      void reply.code(status);
      void reply.headers(headers);
      void reply.serializer(asIs);
      void reply.send(body);
    } catch {
      reply.raw.destroy(); // A header of somebody's hook or format that cannot be written.
    }
  }

  #body(error: ConnectError, status: number): ErrorBody {
    const details = detailsToJson(error, this.#registry);
    try {
      const { contentType, body } = this.#format(error, status, details);
      if (typeof contentType === "string" && typeof body === "string") return { contentType, body };
    } catch {
      // A format of the user's own that fails must not hide the error.
    }
    return asStatus(error, status, details);
  }

  #headers(error: ConnectError, status: number): Record<string, string | string[]> {
    const headers: Record<string, string | string[]> = {};
    const set = (name: string, value: string): void => {
      const before = headers[name];
      headers[name] = before === undefined || name !== "set-cookie" ? value : [before, value].flat();
    };
    if (error instanceof HttpError) for (const [name, value] of error.metadata) set(name, value);
    else this.#metadata.headers(error.metadata, set);
    if (status === 401) headers["www-authenticate"] ??= this.#challenge;
    if (status === 429 || status === 503) {
      const seconds = retryAfter(error);
      if (seconds !== undefined) headers["retry-after"] ??= seconds;
    }
    return headers;
  }
}

/** A payload that is text already. */
export function asIs(payload: unknown): string {
  return String(payload);
}

/** Errors of the engine and its plugins carry a status; what they say is for the client if the client is at fault. */
function toGatewayError(reason: unknown): ConnectError {
  if (reason instanceof Error && !(reason instanceof ConnectError) && "statusCode" in reason) {
    const status = reason.statusCode;
    if (typeof status === "number" && ((status >= 400 && status < 500) || status === 503)) {
      return new HttpError(status, reason.message);
    }
  }
  return toCallError(reason);
}

/** Whole seconds of `google.rpc.RetryInfo`, rounded up. */
function retryAfter(error: ConnectError): string | undefined {
  if (error.details.length === 0) return undefined;
  try {
    const any = toStatus(error).details.find(({ typeUrl }) => typeUrl.endsWith("/google.rpc.RetryInfo"));
    const delay = any && fromBinary(RetryInfoSchema, any.value).retryDelay;
    if (delay === undefined || delay.seconds < 0n) return undefined;
    return String(delay.seconds + (delay.nanos > 0 ? 1n : 0n));
  } catch {
    return undefined; // A broken detail never hides the status itself.
  }
}
