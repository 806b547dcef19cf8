import {
  toBinary,
  type DescMethod,
  type DescMethodUnary,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../core/caller.ts";
import { jsonWriter, type JsonWriteOptions } from "../core/codec/json-writer.ts";
import { CallContext } from "../core/context.ts";
import { type Binder, type BindOptions, compileBinder } from "./binding/bind.ts";
import { requestedTimeoutMs } from "./call-timeout.ts";
import { asIs, type ErrorWriter } from "./error-writer.ts";
import type { Exchange } from "./exchange.ts";
import { HttpError } from "./http-error.ts";
import { binaryReplyType, bodyFormat, type BodyFormat } from "./media-type.ts";
import { type ReplyMetadata, successStatus } from "./reply-metadata.ts";
import { type BodyReader, hasBody } from "./request-body.ts";
import type { RequestMetadata } from "./request-metadata.ts";
import type { Route } from "./routing/route.ts";
import type { SystemParameters } from "./binding/system-parameters.ts";

/** What a route's handler gets to know of the match. */
export interface RouteCall {
  /** The decoded values of the route's variables, in their order. */
  readonly captures: readonly string[];
  /** The raw query without `?`. */
  readonly query: string;
}

/** Answers the requests of one route. Never throws. */
export type RouteHandler = (call: RouteCall, request: FastifyRequest, reply: FastifyReply) => void;

/** What the handlers of all routes share. */
export interface UnaryOptions {
  readonly caller: Caller;
  readonly errors: ErrorWriter;
  readonly requestMetadata: RequestMetadata;
  readonly replyMetadata: ReplyMetadata;
  readonly bodies: BodyReader;
  readonly bind: Partial<BindOptions>;
  readonly json: Partial<JsonWriteOptions>;
  readonly registry: Registry | undefined;
  /** Whether bodies of any content type are read as JSON. */
  readonly lenientContentType: boolean;
  /** Time for a call whose client sets none, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** The longest time a client may ask for, in milliseconds; 0 for any. */
  readonly maxTimeoutMs: number;
}

/**
 * The way of a unary call over HTTP: bind the request, call, encode the reply, and one catch that writes every error.
 * Everything that depends on the route is compiled here, once.
 */
export function unaryRoute(route: Route, method: DescMethodUnary, options: UnaryOptions): RouteHandler {
  const { caller, errors, requestMetadata, defaultTimeoutMs, maxTimeoutMs } = options;
  const binder = compileBinder(route, options.bind);
  const body = bodyReader(route, options);
  const send = replySender(route, method, options, binder);

  const limitOf = (timeoutMs: number | undefined): number | undefined => {
    if (timeoutMs === undefined) return defaultTimeoutMs > 0 ? defaultTimeoutMs : undefined;
    return maxTimeoutMs > 0 ? Math.min(timeoutMs, maxTimeoutMs) : timeoutMs;
  };

  const serve = async (call: RouteCall, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { raw } = request;
    const { headers } = raw;
    const exchange = reply.raw as Exchange; // Every server here makes its responses of this class.
    let context: CallContext | undefined;
    try {
      const timeoutMs = requestedTimeoutMs(headers);
      requestMetadata.check(headers);
      const { format, bytes } = body === undefined || !hasBody(raw) ? noBody : body(raw);
      // A client's own time runs from the arrival of its request, the default one when the request is there.
      const waits = timeoutMs === undefined && bytes !== undefined;
      context = exchange.context = new CallContext({
        method,
        protocolName: "rest",
        requestHeader: requestMetadata.from(headers),
        requestMethod: request.method,
        url: raw.url ?? "",
        startedAt: exchange.startedAt,
        timeoutMs: waits ? undefined : limitOf(timeoutMs),
      });
      const message = binder.bind({
        captures: call.captures,
        query: call.query,
        format,
        body: bytes && (await (timeoutMs === undefined ? bytes : context.race(bytes))),
      });
      if (waits && defaultTimeoutMs > 0) context.limit(defaultTimeoutMs);
      const output = await caller.unary(method, message, context);
      send(output, context, call, format, request, reply);
    } catch (reason) {
      errors.send(reply, reason);
    } finally {
      context?.end();
    }
  };
  return (call, request, reply) => void serve(call, request, reply);
}

/** The body of a request, still to come. */
export interface Body {
  readonly bytes: Promise<Buffer> | undefined;
  readonly format: BodyFormat;
}

/** No body at all. */
export const noBody: Body = Object.freeze({ bytes: undefined, format: "json" });

type RawRequest = FastifyRequest["raw"];

/** Reads the whole body of a request of this route; undefined where bodies are left unread. */
export function bodyReader(route: Route, options: UnaryOptions): ((raw: RawRequest) => Body) | undefined {
  // A body that nobody expects is left unread, unless it is a mistake that has to be told.
  if (route.bodyField === undefined && options.bind.unexpectedBody !== "reject") return undefined;
  const { bodies, lenientContentType } = options;
  return (raw) => {
    const contentType = raw.headers["content-type"];
    const format = bodyFormat(contentType) ?? (lenientContentType ? "json" : undefined);
    if (format !== undefined) return { bytes: bodies.read(raw), format };
    // A chunked body may still turn out to be empty; then there is nothing that needs a type.
    if (raw.headers["transfer-encoding"] === undefined) throw unsupported(contentType);
    const bytes = bodies.read(raw, 0).catch((reason: unknown) => {
      throw reason instanceof HttpError && reason.status === 413 ? unsupported(contentType) : reason;
    });
    return { bytes, format: "json" };
  };
}

function unsupported(contentType: string | undefined): HttpError {
  const found = contentType === undefined ? "no content type" : `content type ${JSON.stringify(contentType)}`;
  return new HttpError(
    415,
    `the request has a body with ${found}: send application/json (UTF-8) or application/proto`,
    {
      headers: { accept: "application/json, application/proto" },
    },
  );
}

/** Writes the good reply of one call. */
export type ReplySender = (
  message: Message,
  context: CallContext,
  call: RouteCall,
  format: BodyFormat,
  request: FastifyRequest,
  reply: FastifyReply,
) => void;

/** Writes good replies of one route: as JSON, or as binary protobuf for clients that prefer it. */
export function replySender(
  route: Route,
  method: DescMethod,
  options: UnaryOptions,
  binder: Pick<Binder, "systemParameters">,
): ReplySender {
  const { responseField } = route;
  const toJson = jsonEncoder(route, method, options.json);
  const variants =
    options.bind.systemParameters === true ? jsonVariants(route, method, options.json) : undefined;
  const binary = binaryEncoder(responseField, method);
  return (message, context, call, format, request, reply) => {
    const { headers } = request.raw;
    const sent =
      format === "binary" ? headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase() : undefined;
    const type = binary === undefined ? undefined : binaryReplyType(headers.accept, sent);
    const encode = variants === undefined ? toJson : variants(binder.systemParameters(call.query));
    const payload = type === undefined || binary === undefined ? encode(message) : binary(message);
    const status = writeMetadata(context, request, reply, options.replyMetadata);
    if (status === 204 || status === 205 || status === 304) {
      void reply.code(status).send();
      return;
    }
    if (status !== 200) void reply.code(status);
    void reply.header("content-type", type ?? "application/json");
    if (typeof payload === "string") void reply.serializer(asIs);
    void reply.send(payload);
  };
}

/** Prints what of a reply is the body, as JSON. */
export type JsonEncoder = (message: Message) => string;

/** The encoder of a route's replies: of the response, or of the field of it that is the body. */
export function jsonEncoder(route: Route, method: DescMethod, json: Partial<JsonWriteOptions>): JsonEncoder {
  const writer = jsonWriter(method.output, json);
  const { responseField } = route;
  return responseField === undefined
    ? (message) => writer.write(message)
    : (message) => writer.writeField(responseField, message);
}

/** The encoder that a request's system parameters ask for. */
export function jsonVariants(
  route: Route,
  method: DescMethod,
  json: Partial<JsonWriteOptions>,
): (parameters: SystemParameters) => JsonEncoder {
  return ({ enumsAsNumbers, prettyPrint }) =>
    jsonEncoder(route, method, {
      ...json,
      ...(enumsAsNumbers ? { enums: "number" } : {}),
      ...(prettyPrint === undefined ? {} : { indent: prettyPrint ? json.indent || 2 : 0 }),
    });
}

/** Binary replies of a route: the response, or the field of it that is the body; undefined where that is no message. */
export function binaryEncoder(
  field: Route["responseField"],
  method: DescMethod,
): ((message: Message) => Buffer) | undefined {
  const { output } = method;
  if (field === undefined) return (message) => asBuffer(toBinary(output, message));
  if (field.fieldKind !== "message") return undefined;
  // Reflection knows the forms that wrappers and Struct have inside of messages.
  return (message) => asBuffer(toBinary(field.message, reflect(output, message).get(field).message));
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Writes what the service said beside its message; returns the status of the reply. */
export function writeMetadata(
  context: CallContext,
  request: FastifyRequest,
  reply: FastifyReply,
  metadata: ReplyMetadata,
): number {
  const header = context.responseHeaderIfAny;
  const trailer = context.responseTrailerIfAny;
  let status = 200;
  if (header !== undefined) {
    metadata.headers(header, (name, value) => void reply.header(name, value));
    status = successStatus(header);
  }
  if (trailer !== undefined) {
    const wanted = request.raw.headers.te?.includes("trailers") === true && request.raw.httpVersion !== "1.0";
    if (wanted && request.method !== "HEAD") metadata.trailers(trailer, reply);
    else metadata.trailersAsHeaders(trailer, (name, value) => void reply.header(name, value));
  }
  return status;
}
