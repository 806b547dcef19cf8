import type { DescMethod, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { JsonWriteOptions } from "../../../../core/codec/message-to-json.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import { writeReply } from "../../../../core/call/write-reply.ts";
import { type Binder, compileBinder } from "../../../binding/bind.ts";
import type { BindRequest } from "../../../binding/bind-options.ts";
import { requestedTimeoutMs } from "../../deadline.ts";
import { callKind, type DoorKit } from "../../door-kit.ts";
import { admitCall, bodySeen, openCall, requestComplete, whileReading } from "../../open-call.ts";
import {
  type HttpExchange,
  type RequestHead,
  type ResponseHeaders,
  type ResponseTrailers,
  setField,
} from "../../../http/exchange.ts";
import { HttpError } from "../../../http/http-error.ts";
import { binaryReplyType, bodyFormat, type BodyFormat } from "../../../http/media-type.ts";
import {
  binaryEncoder,
  binaryReader,
  jsonEncoder,
  jsonReader,
  type ReplyEncoder,
  type ReplyReader,
} from "../../../binding/reply-encoder.ts";
import { type ReplyMetadata, successStatus } from "../../../http/reply-metadata.ts";
import { hasBody } from "../../../http/request-body.ts";
import { acceptsTrailers } from "../../../http/trailers-wanted.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { SystemParameters } from "../../../binding/system-parameters.ts";

/** Answers the requests of one route. Never throws. */
export type RouteHandler = (call: RouteCall, exchange: HttpExchange) => void;

/**
 * Handles unary calls over HTTP: binds the request, calls, encodes the reply, and writes every error in one place. All
 * parts that depend on the route are compiled once.
 */
export function unaryRoute(route: Route, method: DescMethodUnary, kit: DoorKit): RouteHandler {
  const { errors, requestMetadata } = kit;
  const kind = callKind(method, "rest", kit);
  const binder = compileBinder(route, kit.binding);
  const body = bodyReader(route, kit);
  const run = callRunner(method, kit, binder);
  const replies = replyWriter(route, method, kit, binder);
  const { text: template } = route.template;

  const serve = async ({ captures, query }: RouteCall, exchange: HttpExchange): Promise<void> => {
    const { headers } = exchange.head;
    let context: CallContext | undefined;
    try {
      const askedMs = requestedTimeoutMs(headers);
      requestMetadata.check(headers);
      context = openCall(kind, exchange, askedMs, requestMetadata.from(headers));
      const admitted = admitCall(kind, "rest", exchange, context, template);
      if (admitted !== undefined) await admitted;
      const { format, bytes } = body === undefined || !hasBody(exchange.head) ? noBody : body(exchange);
      const content = bytes && (await whileReading(context, bytes));
      const seen = bodySeen(context, exchange, () => kit.bodies.read(exchange));
      if (seen !== undefined) await whileReading(context, seen);
      requestComplete(context, kind);
      const type = binaryReplyType(headers.accept, format === "binary" ? mediaTypeOf(headers) : undefined);
      const { changeQuery } = context;
      const asked = changeQuery === undefined ? query : changeQuery(query);
      const request = { captures, query: asked, format, body: content };
      const payload = await run(request, context, replies.codec(query, type));
      replies.send(payload, context, type, exchange);
    } catch (reason) {
      errors.send(exchange, reason);
    } finally {
      context?.end();
    }
  };
  return (call, exchange) => void serve(call, exchange);
}

/** The body of a request, which is still being read. */
export interface Body {
  readonly bytes: Promise<Buffer> | undefined;
  readonly format: BodyFormat;
}

/** A request without a body. */
export const noBody: Body = Object.freeze({ bytes: undefined, format: "json" });

/** Compiles the reader of whole bodies of a route; undefined if bodies are not read. */
export function bodyReader(
  route: Route,
  { binding, bodies, lenientContentType }: DoorKit,
): ((exchange: HttpExchange) => Body) | undefined {
  // A body that the rule does not bind is not read, unless it is to be refused.
  if (route.bodyField === undefined && binding.unexpectedBody !== "reject") return undefined;
  return (exchange) => {
    const { headers } = exchange.head;
    const contentType = headers["content-type"];
    const format = bodyFormat(contentType) ?? (lenientContentType ? "json" : undefined);
    if (format !== undefined) return { bytes: bodies.read(exchange), format };
    // A chunked body may be empty, and then it needs no type.
    if (headers["transfer-encoding"] === undefined) throw unsupported(contentType);
    const bytes = bodies.read(exchange, 0).catch((reason: unknown) => {
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

/** The media type of a request without its parameters. */
function mediaTypeOf(headers: RequestHead["headers"]): string | undefined {
  return headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
}

/** Binds a request and calls; resolves with the body of the reply. */
type CallRunner = (request: BindRequest, context: CallContext, codec: ReplyCodec) => Promise<string | Buffer>;

function callRunner(method: DescMethodUnary, { invoker, transcoding }: DoorKit, binder: Binder): CallRunner {
  if (invoker.unaryBytes === undefined || transcoding === "messages") {
    return (request, context, { encode }) => invoker.unary(method, binder.bind(request), context, encode);
  }
  const unaryBytes = invoker.unaryBytes.bind(invoker);
  return (request, context, { read }) => unaryBytes(method, binder.bindBytes(request), context, read);
}

/** Makes the body of a reply. */
export interface ReplyCodec {
  /** Of its message. */
  readonly encode: ReplyEncoder;
  /** Of its protobuf bytes. Throws for bytes that are no message of the output type. */
  readonly read: (reply: Uint8Array) => string | Buffer;
}

/** Writes successful replies of one route. */
export interface ReplyWriter {
  /** What makes the body of the reply to a request with this query: JSON, or protobuf if `binaryType` is set. */
  codec(query: string, binaryType: string | undefined): ReplyCodec;
  /** Sends the result of the codec. @throws Error for invalid header fields */
  send(
    payload: string | Buffer,
    context: CallContext,
    binaryType: string | undefined,
    exchange: HttpExchange,
  ): void;
}

/** Compiles the writer of successful replies of one route. */
export function replyWriter(
  route: Route,
  method: DescMethod,
  { json, binding, replyMetadata }: Pick<DoorKit, "json" | "binding" | "replyMetadata">,
  binder: Pick<Binder, "systemParameters">,
): ReplyWriter {
  const usual = jsonCodec(route, method, json);
  const variants = binding.systemParameters ? jsonVariants(route, method, json) : undefined;
  const encode = binaryEncoder(route, method);
  const binary = encode && codecOf(method, encode, binaryReader(route, method));
  return {
    codec(query, binaryType) {
      if (binaryType !== undefined && binary !== undefined) return binary;
      return variants === undefined ? usual : variants(binder.systemParameters(query));
    },
    send(payload, context, binaryType, exchange) {
      const type = binary === undefined ? undefined : binaryType;
      const { status, headers, trailers } = replyHead(context, exchange.head, replyMetadata);
      if (status === 204 || status === 205 || status === 304) {
        exchange.respond(status, headers, undefined, trailers);
        return;
      }
      headers["content-type"] = type ?? "application/json";
      exchange.respond(status, headers, payload, trailers);
    },
  };
}

/** Chooses the codec by a request's system parameters; each is compiled at its first use. */
function jsonVariants(
  route: Route,
  method: DescMethod,
  json: Partial<JsonWriteOptions>,
): (parameters: SystemParameters) => ReplyCodec {
  const known = new Map<string, ReplyCodec>();
  return ({ enumsAsNumbers, prettyPrint }) => {
    const indent = prettyPrint === undefined ? json.indent : prettyPrint ? json.indent || 2 : 0;
    const key = `${enumsAsNumbers} ${indent}`;
    let codec = known.get(key);
    if (codec === undefined) {
      codec = jsonCodec(route, method, { ...json, indent, ...(enumsAsNumbers ? { enums: "number" } : {}) });
      known.set(key, codec);
    }
    return codec;
  };
}

function jsonCodec(route: Route, method: DescMethod, json: Partial<JsonWriteOptions>): ReplyCodec {
  return codecOf(method, jsonEncoder(route, method, json), jsonReader(route, method, json));
}

function codecOf(method: DescMethod, encode: ReplyEncoder, read: ReplyReader): ReplyCodec {
  return {
    encode,
    read: (reply) => {
      const output = read(reply);
      return isPayload(output) ? output : writeReply(method, encode, output);
    },
  };
}

function isPayload(output: Message | string | Buffer): output is string | Buffer {
  return typeof output === "string" || Buffer.isBuffer(output);
}

/** The head of a successful reply, without its content type. */
export interface ReplyHead {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly trailers: ResponseTrailers | undefined;
}

/** The head of a reply with the metadata of its call. */
export function replyHead(context: CallContext, request: RequestHead, metadata: ReplyMetadata): ReplyHead {
  const trailer = context.responseTrailerIfAny;
  const headers: ResponseHeaders = {};
  if (!context.hasResponseHeader && trailer === undefined)
    return { status: 200, headers, trailers: undefined };
  const set = (name: string, value: string): void => setField(headers, name, value);
  let trailers: ResponseTrailers | undefined;
  context.eachResponseHeader((name, value) => metadata.header(name, value, set));
  if (trailer !== undefined) {
    if (acceptsTrailers(request)) trailers = metadata.trailers(trailer, set);
    else metadata.trailersAsHeaders(trailer, set);
  }
  const made = context.madeResponseHeader;
  return { status: made === undefined ? 200 : successStatus(made), headers, trailers };
}
