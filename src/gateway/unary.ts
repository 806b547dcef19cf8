import type { DescMethod, DescMethodUnary, Message, Registry } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../core/caller.ts";
import type { JsonWriteOptions } from "../core/codec/json-writer.ts";
import { CallContext } from "../core/context.ts";
import { type Binder, compileBinder } from "./binding/bind.ts";
import type { BindOptions, BindRequest } from "./binding/bind-options.ts";
import { callTimeOf, requestedTimeoutMs } from "./call-timeout.ts";
import { asIs, type ErrorWriter } from "./error-writer.ts";
import type { Exchange } from "./exchange.ts";
import { HttpError } from "./http-error.ts";
import { binaryReplyType, bodyFormat, type BodyFormat } from "./media-type.ts";
import { binaryEncoder, jsonEncoder, type ReplyEncoder, replyReaders } from "./reply-encoder.ts";
import { type ReplyMetadata, successStatus } from "./reply-metadata.ts";
import { type BodyReader, hasBody } from "./request-body.ts";
import type { WholeReply, WholeRequest } from "./plain-reply.ts";
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

/** As `RouteHandler`, for a route whose calls are answered whole. */
export type WholeHandler = (call: RouteCall, request: WholeRequest, reply: WholeReply) => void;

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
  /** Whether callers that take bytes are given bytes. */
  readonly transcoding: "bytes" | "messages";
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
export function unaryRoute(route: Route, method: DescMethodUnary, options: UnaryOptions): WholeHandler {
  const { errors, requestMetadata } = options;
  const binder = compileBinder(route, options.bind);
  const body = bodyReader(route, options);
  const run = callRunner(route, method, options, binder);
  const send = replySender(route, method, options, binder);

  const serve = async (call: RouteCall, request: WholeRequest, reply: WholeReply): Promise<void> => {
    const { raw } = request;
    const { headers } = raw;
    const exchange = reply.raw as Exchange; // Every server here makes its responses of this class.
    let context: CallContext | undefined;
    try {
      const { ownMs, defaultMs } = callTimeOf(requestedTimeoutMs(headers), options);
      requestMetadata.check(headers);
      const { format, bytes } = body === undefined || !hasBody(raw) ? noBody : body(raw);
      // A client's own time runs from the arrival of its request, the default one when the request is there.
      const waits = defaultMs !== undefined && bytes !== undefined;
      context = exchange.context = new CallContext({
        method,
        protocolName: "rest",
        requestHeader: requestMetadata.from(headers),
        peer: exchange.peer,
        requestMethod: request.method,
        url: raw.url ?? "",
        startedAt: exchange.startedAt,
        timeoutMs: waits ? undefined : (ownMs ?? defaultMs),
      });
      const bound = {
        captures: call.captures,
        query: call.query,
        format,
        body: bytes && (await (ownMs === undefined ? bytes : context.race(bytes))),
      };
      if (waits) context.limit(defaultMs);
      const type = binaryReplyType(headers.accept, format === "binary" ? mediaTypeOf(headers) : undefined);
      const output = await run(bound, context, type);
      send(output, context, call, type, request, reply);
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

/** The media type of a body that is known to have one, without its parameters. */
function mediaTypeOf(headers: RawRequest["headers"]): string | undefined {
  return headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
}

/**
 * Binds a request and calls; resolves with the reply, or with its body where that took no message. `type` is the media
 * type of binary replies, undefined for JSON.
 */
type CallRunner = (
  request: BindRequest,
  context: CallContext,
  type: string | undefined,
) => Promise<Message | string | Buffer>;

function callRunner(
  route: Route,
  method: DescMethodUnary,
  { caller, transcoding, bind, json }: UnaryOptions,
  binder: Binder,
): CallRunner {
  if (caller.unaryBytes === undefined || transcoding === "messages") {
    return (request, context) => caller.unary(method, binder.bind(request), context);
  }
  const unaryBytes = caller.unaryBytes.bind(caller);
  // What a request asks for by system parameters takes messages.
  const plain = bind.systemParameters !== true;
  const readers = replyReaders(route, method, plain ? json : undefined);
  return (request, context, type) =>
    unaryBytes(
      method,
      binder.bindBytes(request),
      context,
      type === undefined ? readers.json : readers.binary,
    );
}

/** Writes the good reply of one call. */
export type ReplySender = (
  output: Message | string | Buffer,
  context: CallContext,
  call: RouteCall,
  binaryType: string | undefined,
  request: WholeRequest,
  reply: WholeReply,
) => void;

/** Writes good replies of one route: as JSON, or as binary protobuf for clients that prefer it. */
export function replySender(
  route: Route,
  method: DescMethod,
  options: UnaryOptions,
  binder: Pick<Binder, "systemParameters">,
): ReplySender {
  const toJson = jsonEncoder(route, method, options.json);
  const variants =
    options.bind.systemParameters === true ? jsonVariants(route, method, options.json) : undefined;
  const binary = binaryEncoder(route, method);
  return (output, context, call, binaryType, request, reply) => {
    const type = binary === undefined ? undefined : binaryType;
    const json = variants === undefined ? toJson : variants(binder.systemParameters(call.query));
    const encode = type === undefined || binary === undefined ? json : binary;
    const payload = typeof output === "string" || Buffer.isBuffer(output) ? output : encode(output);
    const status = writeMetadata(context, request, reply, options.replyMetadata);
    if (status === 204 || status === 205 || status === 304) {
      void reply.code(status);
      void reply.send(undefined);
      return;
    }
    if (status !== 200) void reply.code(status);
    void reply.header("content-type", type ?? "application/json");
    if (typeof payload === "string") void reply.serializer(asIs);
    void reply.send(payload);
  };
}

/** The encoder that a request's system parameters ask for. */
export function jsonVariants(
  route: Route,
  method: DescMethod,
  json: Partial<JsonWriteOptions>,
): (parameters: SystemParameters) => ReplyEncoder {
  return ({ enumsAsNumbers, prettyPrint }) =>
    jsonEncoder(route, method, {
      ...json,
      ...(enumsAsNumbers ? { enums: "number" } : {}),
      ...(prettyPrint === undefined ? {} : { indent: prettyPrint ? json.indent || 2 : 0 }),
    });
}

/** Writes what the service said beside its message; returns the status of the reply. */
export function writeMetadata(
  context: CallContext,
  request: WholeRequest,
  reply: WholeReply,
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
