import type { IncomingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "../../errors/errors.ts";
import { isAuthority } from "../../net/authority.ts";
import { hasNulInPath } from "../../net/request-target.ts";
import { parseTimeout } from "../../wire/grpc-timeout.ts";
import { hasValidBinaries } from "../metadata.ts";
import type { FieldList, ReplyFields } from "./call-stream.ts";
import { acceptedEncodings, requestEncodings } from "./message-compression.ts";
import { refusal } from "./reply-fields.ts";

/** Limits of the headers of a request. */
export interface HeaderLimits {
  /** Largest header list, in bytes as HTTP/2 counts them (name, value and 32 for each field). */
  readonly maxHeaderBytes: number;
  /** Most header fields. */
  readonly maxHeaderFields: number;
}

/** An answer to an invalid request: a plain HTTP response, or a gRPC status without messages. */
export interface Refusal {
  /** Of HTTP. */
  readonly status: number;
  readonly head: ReplyFields;
  /** Text of a plain HTTP response; undefined for none. */
  readonly body?: string;
  /** The refusal as observers see it. */
  readonly error: ConnectError;
}

const contentType = /^application\/grpc(?:\+proto)?(?:[ \t]*;.*)?$/i;
const printable = /^[!-~]+$/;
/** Added to the length of each header field by RFC 9113. */
const fieldOverhead = 32;

/** Checks the head of a request before a handler is chosen. */
export class GrpcRequestCheck {
  readonly #limits: HeaderLimits;
  /** The last valid `:authority`: nearly all requests have the same. */
  #knownHost: string | undefined;

  constructor(limits: HeaderLimits) {
    this.#limits = limits;
  }

  /**
   * The refusal of a request; undefined for a valid one. Requests that no gRPC client sends are refused by plain HTTP,
   * all others by a gRPC status.
   */
  problem(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): Refusal | undefined {
    if (headers[":method"] !== "POST") {
      return httpRefusal(405, "gRPC calls are POST requests", ["allow", "POST"]);
    }
    if (!contentType.test(headers["content-type"] ?? "")) return notGrpc();
    if (hasNulInPath(headers[":path"] ?? "")) {
      return httpRefusal(400, "the path of the request has the character U+0000 (%00)");
    }
    if (!this.#isHost(headers[":authority"]) || !this.#isHost(headers.host)) {
      return httpRefusal(400, 'the host of the request is malformed: it must be "host" or "host:port"');
    }
    return this.#callProblem(headers, rawHeaders);
  }

  #isHost(text: string | undefined): boolean {
    if (text === undefined || text === this.#knownHost) return true;
    if (!isAuthority(text)) return false;
    this.#knownHost = text;
    return true;
  }

  #callProblem(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): Refusal | undefined {
    const { maxHeaderBytes, maxHeaderFields } = this.#limits;
    let bytes = 0;
    let binary = false;
    for (const part of rawHeaders) {
      bytes += part.length;
      if (part.endsWith("-bin")) binary = true;
    }
    const fields = rawHeaders.length / 2;
    if (fields > maxHeaderFields || bytes + fields * fieldOverhead > maxHeaderBytes) {
      return statusRefusal(Code.ResourceExhausted, "the request headers are too large");
    }
    if (!printable.test(headers[":path"] ?? "")) return statusRefusal(Code.Unimplemented, "no such method");
    const timeout = headers["grpc-timeout"];
    if (timeout !== undefined && (typeof timeout !== "string" || parseTimeout(timeout) === undefined)) {
      return statusRefusal(Code.Internal, "malformed grpc-timeout");
    }
    const encoding = headers["grpc-encoding"];
    if (encoding !== undefined && (typeof encoding !== "string" || !requestEncodings.has(encoding))) {
      const message = `messages in this grpc-encoding cannot be read; use one of ${acceptedEncodings}`;
      return statusRefusal(Code.Unimplemented, message, ["grpc-accept-encoding", acceptedEncodings]);
    }
    if (binary && !hasValidBinaries(headers)) {
      return statusRefusal(Code.Internal, "a -bin header is not base64");
    }
    return undefined;
  }
}

/** A refusal by a gRPC status. */
export function statusRefusal(code: Code, message: string, fields?: FieldList): Refusal {
  return { status: 200, head: refusal(code, message, fields), error: new ConnectError(message, code) };
}

function notGrpc(): Refusal {
  const error = new ConnectError("the content type is none of gRPC", Code.InvalidArgument);
  return { status: 415, head: { shared: [":status", "415"], own: [] }, error };
}

function httpRefusal(status: number, text: string, fields: FieldList = []): Refusal {
  const own = [...fields, "content-type", "text/plain"];
  const error = new ConnectError(text, Code.InvalidArgument);
  return { status, head: { shared: [":status", String(status)], own }, body: `${text}\n`, error };
}
