import type { DescMethod, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { JsonWriteOptions } from "../../../../core/codec/message-to-json.ts";
import { CallContext } from "../../../../core/call/context.ts";
import { writeReply } from "../../../../core/call/write-reply.ts";
import { type Binder, compileBinder } from "../../../binding/bind.ts";
import type { BindRequest } from "../../../binding/bind-options.ts";
import { callTimeOf, requestedTimeoutMs } from "../../deadline.ts";
import { asIs } from "../../../http/error-writer.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { HttpError } from "../../../http/http-error.ts";
import { binaryReplyType, bodyFormat, type BodyFormat } from "../../../http/media-type.ts";
import {
  binaryEncoder,
  jsonEncoder,
  type ReplyEncoder,
  replyReaders,
} from "../../../binding/reply-encoder.ts";
import { type ReplyMetadata, successStatus } from "../../../http/reply-metadata.ts";
import { hasBody } from "../../../http/request-body.ts";
import { takesTrailers } from "../../../http/trailers-wanted.ts";
import type { WholeReply, WholeRequest } from "../../../http/plain-reply.ts";
import type { Route } from "../../../routing/route.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { RouteOptions } from "../../route-options.ts";
import type { SystemParameters } from "../../../binding/system-parameters.ts";

/** Answers the requests of one route. Never throws. */
export type RouteHandler = (call: RouteCall, request: FastifyRequest, reply: FastifyReply) => void;

/** As `RouteHandler`, for a route whose calls are answered whole. */
export type WholeHandler = (call: RouteCall, request: WholeRequest, reply: WholeReply) => void;

/**
 * The way of a unary call over HTTP: bind the request, call, encode the reply, and one catch that writes every error.
 * Everything that depends on the route is compiled here, once.
 */
export function unaryRoute(route: Route, method: DescMethodUnary, options: RouteOptions): WholeHandler {
  const { errors, requestMetadata } = options;
  const binder = compileBinder(route, options.bind);
  const body = bodyReader(route, options);
  const run = callRunner(route, method, options, binder);
  const replies = replyWriter(route, method, options, binder);

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
      const payload = await run(bound, context, type, replies.encoder(call, type));
      replies.send(payload, context, type, request, reply);
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
export function bodyReader(route: Route, options: RouteOptions): ((raw: RawRequest) => Body) | undefined {
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
 * Binds a request and calls; resolves with the body of the reply. `type` is the media type of binary replies, undefined
 * for JSON; `encode` makes the body where that takes the message.
 */
type CallRunner = (
  request: BindRequest,
  context: CallContext,
  type: string | undefined,
  encode: ReplyEncoder,
) => Promise<string | Buffer>;

function callRunner(
  route: Route,
  method: DescMethodUnary,
  { invoker, transcoding, bind, json }: RouteOptions,
  binder: Binder,
): CallRunner {
  if (invoker.unaryBytes === undefined || transcoding === "messages") {
    return (request, context, _type, encode) => invoker.unary(method, binder.bind(request), context, encode);
  }
  const unaryBytes = invoker.unaryBytes.bind(invoker);
  // What a request asks for by system parameters takes messages.
  const plain = bind.systemParameters !== true;
  const readers = replyReaders(route, method, plain ? json : undefined);
  return (request, context, type, encode) => {
    const read = type === undefined ? readers.json : readers.binary;
    return unaryBytes(method, binder.bindBytes(request), context, (reply) => {
      const output = read(reply);
      return isPayload(output) ? output : writeReply(method, encode, output);
    });
  };
}

function isPayload(output: Message | string | Buffer): output is string | Buffer {
  return typeof output === "string" || Buffer.isBuffer(output);
}

/** Writes good replies of one route. */
export interface ReplyWriter {
  /** How the reply of a call is encoded: as JSON, or as binary protobuf where its client prefers that. */
  encoder(call: RouteCall, binaryType: string | undefined): ReplyEncoder;
  /** Sends what the encoder made. */
  send(
    payload: string | Buffer,
    context: CallContext,
    binaryType: string | undefined,
    request: WholeRequest,
    reply: WholeReply,
  ): void;
}

/** Compiles how good replies of one route are written. */
export function replyWriter(
  route: Route,
  method: DescMethod,
  options: RouteOptions,
  binder: Pick<Binder, "systemParameters">,
): ReplyWriter {
  const toJson = jsonEncoder(route, method, options.json);
  const variants =
    options.bind.systemParameters === true ? jsonVariants(route, method, options.json) : undefined;
  const binary = binaryEncoder(route, method);
  return {
    encoder(call, binaryType) {
      if (binaryType !== undefined && binary !== undefined) return binary;
      return variants === undefined ? toJson : variants(binder.systemParameters(call.query));
    },
    send(payload, context, binaryType, request, reply) {
      const type = binary === undefined ? undefined : binaryType;
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
    },
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
    if (takesTrailers(request.raw)) metadata.trailers(trailer, reply);
    else metadata.trailersAsHeaders(trailer, (name, value) => void reply.header(name, value));
  }
  return status;
}
