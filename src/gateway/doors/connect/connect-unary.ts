import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { DescMethodUnary } from "@bufbuild/protobuf";
import { compressionNegotiate, type Compression } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, parseContentType } from "@connectrpc/connect/protocol-connect";
import { type CallEnvelope, envelopeType, isEnvelopeType } from "../../../core/call/call-envelope.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { ownHttpStatus } from "../../../core/errors/http-answer.ts";
import { Code, type ConnectError, invalidArgument } from "../../../core/errors/errors.ts";
import { type HttpExchange, type ResponseHeaders, setField } from "../../http/exchange.ts";
import { headerValue } from "../../http/header-value.ts";
import { callKind, type DoorKit } from "../door-kit.ts";
import { connectTimeoutMs } from "../deadline.ts";
import { noEnvelope, withoutContent } from "../envelopes.ts";
import { admitCall, bodySeen, openCall, requestComplete, whileReading } from "../open-call.ts";
import { queryOf } from "../../../core/net/request-target.ts";
import { HttpError } from "../../http/http-error.ts";
import type { ConnectErrorJson } from "./connect-error-json.ts";
import { messageOf, parseConnectQuery, type ConnectQuery } from "./connect-query.ts";
import { messageCodecs, type MessageCodec } from "../rpc/message-codec.ts";
import { compressMinBytes, messageCompressions } from "../rpc/message-compression.ts";
import { NoCall, refuse } from "../rpc/refusal.ts";
import type { RpcHandler } from "../rpc/rpc-door.ts";
import { eachField, type ReplyParts, type RpcMetadata } from "../rpc/rpc-metadata.ts";

/** A parsed request head; the message is read later. */
interface Incoming {
  readonly codec: MessageCodec;
  /** The client's timeout, in milliseconds; undefined for none. */
  readonly timeoutMs: number | undefined;
  /** The compression of the reply; null for none. */
  readonly compression: Compression | null;
  /** Reads the bytes of the message, decompressed. */
  readonly read: () => Promise<Uint8Array>;
  /** Whether the body is said to be encrypted. */
  readonly isSealed: boolean;
}

/** An admitted call whose bodies are encrypted. */
interface EnvelopedCall extends Pick<Incoming, "codec" | "read"> {
  readonly exchange: HttpExchange;
  readonly context: CallContext;
  /** Of the reply. */
  readonly headers: ResponseHeaders;
}

/** The handlers of a unary rpc for the two HTTP methods of the Connect protocol. */
export interface ConnectUnary {
  readonly post: RpcHandler;
  readonly get: RpcHandler;
}

/**
 * Unary calls by the Connect protocol: the message is the body of a POST or, for rpcs without side effects, in the
 * query of a GET. Trailers are headers with the prefix `trailer-`, errors are JSON with an HTTP status.
 *
 * @see https://connectrpc.com/docs/protocol#unary-rpcs-request-response
 */
export function connectUnary(
  method: DescMethodUnary,
  kit: DoorKit,
  metadata: RpcMetadata,
  errorJson: ConnectErrorJson,
): ConnectUnary {
  const { invoker, errors, bodies, limits } = kit;
  const { maxBodyBytes } = limits;
  const kind = callKind(method, "connect", kit);
  const codecs = messageCodecs(method, kit.binding, Code.InvalidArgument);
  const unaryBytes = kit.transcoding === "messages" ? undefined : invoker.unaryBytes?.bind(invoker);

  const run = (bytes: Uint8Array, codec: MessageCodec, context: CallContext): Promise<Buffer> => {
    if (unaryBytes === undefined) {
      const message = codec.parse(bytes);
      requestComplete(context, kind);
      return invoker.unary(method, message, context, codec.serialize);
    }
    const request = codec.toBinary(bytes);
    requestComplete(context, kind);
    return unaryBytes(method, request, context, codec.fromBinary);
  };

  const serve = async (
    incoming: (exchange: HttpExchange) => Incoming,
    exchange: HttpExchange,
    headers: ResponseHeaders,
  ): Promise<void> => {
    let context: CallContext | undefined;
    try {
      const { headers: requestHeaders } = exchange.head;
      const { codec, timeoutMs, compression, read, isSealed } = incoming(exchange);
      metadata.check(requestHeaders, Code.InvalidArgument);
      context = openCall(kind, exchange, timeoutMs, () => metadata.of(requestHeaders));
      const admitted = admitCall(kind, "connect", exchange, context);
      if (admitted !== undefined) await admitted;
      const { envelope } = context;
      if (isSealed && envelope?.open === undefined) throw unsupported(requestHeaders["content-type"]);
      if (envelope !== undefined) {
        await serveEnveloped({ exchange, codec, read, context, headers }, envelope);
        return;
      }
      const content = await whileReading(context, read());
      const seen = bodySeen(context, exchange, () => bodies.read(exchange));
      if (seen !== undefined) await whileReading(context, seen);
      const payload = await run(content, codec, context);
      const parts = metadata.reply(context);
      const type = `application/${codec.name}`;
      if (compression !== null && payload.length >= compressMinBytes) {
        headers["content-encoding"] = compression.name;
        send(exchange, 200, headers, type, parts, await compression.compress(payload));
      } else {
        send(exchange, 200, headers, type, parts, payload);
      }
    } catch (reason) {
      if (reason instanceof NoCall) {
        refuse(exchange, { ...reason.refusal, headers: { ...headers, ...reason.refusal.headers } });
      } else sendError(errors.toError(reason, exchange), context, exchange, headers);
    } finally {
      context?.end();
    }
  };

  /** As the story of a call, with an encrypted request, an encrypted reply or both. */
  const serveEnveloped = async (
    { exchange, codec, read, context, headers }: EnvelopedCall,
    { open, seal }: CallEnvelope,
  ): Promise<void> => {
    if (seal !== undefined && codec.name !== "json") throw noEnvelope({ open: undefined, seal });
    const content = await whileReading(context, open === undefined ? read() : read().then(open));
    const seen = bodySeen(context, exchange, () => bodies.read(exchange));
    if (seen !== undefined) await whileReading(context, seen);
    const call = (): Promise<Buffer> => run(content, codec, context);
    const payload = await (open === undefined ? call() : withoutContent(method, call));
    const sealed = seal === undefined ? payload : Buffer.from(await context.race(seal(payload)));
    if (seal !== undefined) headers["cache-control"] = "no-store";
    const type = seal === undefined ? `application/${codec.name}` : envelopeType;
    send(exchange, 200, headers, type, metadata.reply(context), sealed);
  };

  const sendError = (
    error: ConnectError,
    context: CallContext | undefined,
    exchange: HttpExchange,
    headers: ResponseHeaders,
  ): void => {
    if (exchange.answered) return;
    if (error instanceof HttpError && error.metadata.get("connection") === "close") exchange.closeAfter();
    const parts = context === undefined ? noParts() : metadata.failure(context, error);
    const acceptEncoding = error.metadata.get("accept-encoding");
    if (acceptEncoding !== null) headers["accept-encoding"] = acceptEncoding;
    delete headers["content-encoding"];
    try {
      const body = errorJson.body(error, context?.envelope !== undefined);
      send(
        exchange,
        ownHttpStatus(error) ?? codeToHttpStatus(error.code),
        headers,
        "application/json",
        parts,
        body,
      );
    } catch {
      exchange.destroy(); // A hook has set an invalid header.
    }
  };

  const parsePost = (exchange: HttpExchange): Incoming => {
    const { headers } = exchange.head;
    const type = parseContentType(headerValue(headers["content-type"] ?? undefined));
    const isSealed = type === undefined && isEnvelopeType(headers["content-type"]);
    if (!isSealed && (type === undefined || type.stream)) throw unsupported(headers["content-type"]);
    requireVersion(headers["connect-protocol-version"]);
    return {
      isSealed,
      codec: type?.binary === true ? codecs.proto : codecs.json,
      timeoutMs: connectTimeoutMs(headers),
      compression: negotiate(headers["content-encoding"], headers["accept-encoding"]).response,
      read: () => bodies.read(exchange),
    };
  };

  const parseGet = ({ head }: HttpExchange): Incoming => {
    const { headers, url } = head;
    if (method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) {
      throw new NoCall({
        status: 405,
        text: `${method.name} may have side effects: use POST`,
        headers: { allow: "POST" },
      });
    }
    const query = parseConnectQuery(queryOf(url));
    const { request, response } = negotiate(textOf(query, "compression"), headers["accept-encoding"]);
    return {
      isSealed: false,
      codec: codecs[encodingOf(query)],
      timeoutMs: connectTimeoutMs(headers),
      compression: response,
      async read() {
        const bytes = messageOf(query);
        return request === null ? bytes : request.decompress(bytes, maxBodyBytes);
      },
    };
  };

  return {
    post: (exchange) => void serve(parsePost, exchange, {}),
    get: (exchange) => void serve(parseGet, exchange, { vary: "accept-encoding" }),
  };
}

function send(
  exchange: HttpExchange,
  status: number,
  headers: ResponseHeaders,
  contentType: string,
  { header, trailer }: ReplyParts,
  payload: Uint8Array,
): void {
  const set = (field: string, value: string): void => setField(headers, field, value);
  eachField(header, "", set);
  eachField(trailer, "trailer-", set);
  headers["content-type"] = contentType;
  exchange.respond(status, headers, payload);
}

function noParts(): ReplyParts {
  return { header: new Headers(), trailer: new Headers() };
}

function negotiate(
  requested: string | undefined,
  accepted: string | string[] | undefined,
): { request: Compression | null; response: Compression | null } {
  const { request, response, error } = compressionNegotiate(
    messageCompressions,
    requested === undefined ? null : requested.trim().toLowerCase(),
    headerValue(accepted),
    "accept-encoding",
  );
  if (error !== undefined) throw error;
  return { request, response };
}

function requireVersion(version: string | string[] | undefined): void {
  if (version !== "1") throw invalidArgument('the header Connect-Protocol-Version must be "1"');
}

function textOf(query: ConnectQuery, parameter: string): string | undefined {
  return query.get(parameter)?.toString("latin1");
}

function encodingOf(query: ConnectQuery): "json" | "proto" {
  const encoding = textOf(query, "encoding");
  if (encoding === undefined) throw invalidArgument("the query has no encoding: add encoding=json or proto");
  if (encoding === "json" || encoding === "proto") return encoding;
  throw unsupported(encoding);
}

function unsupported(found: string | undefined): NoCall {
  const text = `${JSON.stringify(found ?? "")} is not served here for a unary rpc of Connect`;
  return new NoCall({ status: 415, text, headers: { "accept-post": "application/json, application/proto" } });
}
