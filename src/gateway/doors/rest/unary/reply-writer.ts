import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { JsonWriteOptions } from "../../../../core/codec/message-to-json.ts";
import { envelopeType } from "../../../../core/call/call-envelope.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import { writeReply } from "../../../../core/call/write-reply.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { Binder } from "../../../binding/bind.ts";
import {
  binaryEncoder,
  binaryReader,
  jsonEncoder,
  jsonReader,
  type ReplyEncoder,
  type ReplyReader,
} from "../../../binding/reply-encoder.ts";
import type { SystemParameters } from "../../../binding/system-parameters.ts";
import {
  type HttpExchange,
  type RequestHead,
  type ResponseHeaders,
  type ResponseTrailers,
  setField,
} from "../../../http/exchange.ts";
import { type ReplyMetadata, successStatus } from "../../../http/reply-metadata.ts";
import { acceptsTrailers } from "../../../http/trailers-wanted.ts";
import type { DoorKit } from "../../door-kit.ts";
import { usualStatusOf } from "../usual-status.ts";

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
  /** Sends an encrypted result of the codec, of which no cache has a use. @throws as `send` */
  sendSealed(payload: string, context: CallContext, exchange: HttpExchange): void;
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
  const usualStatus = usualStatusOf(method);
  const respond = (
    payload: string | Buffer,
    { status, headers, trailers }: ReplyHead,
    type: string,
    exchange: HttpExchange,
  ): void => {
    if (status === 204 || status === 205 || status === 304) {
      exchange.respond(status, headers, undefined, trailers);
      return;
    }
    headers["content-type"] = type;
    exchange.respond(status, headers, payload, trailers);
  };
  return {
    codec(query, binaryType) {
      if (binaryType !== undefined && binary !== undefined) return binary;
      return variants === undefined ? usual : variants(binder.systemParameters(query));
    },
    send(payload, context, binaryType, exchange) {
      const type = binary === undefined ? undefined : binaryType;
      const head = replyHead(context, exchange.head, replyMetadata, usualStatus);
      respond(payload, head, type ?? "application/json", exchange);
    },
    sendSealed(payload, context, exchange) {
      const head = replyHead(context, exchange.head, replyMetadata, usualStatus);
      head.headers["cache-control"] ??= "no-store";
      respond(payload, head, envelopeType, exchange);
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

/**
 * The head of a reply with the metadata of its call.
 *
 * @param usualStatus of success, where the service sets no other
 */
export function replyHead(
  context: CallContext,
  request: RequestHead,
  metadata: ReplyMetadata,
  usualStatus: number,
): ReplyHead {
  const trailer = context.responseTrailerIfAny;
  const headers: ResponseHeaders = {};
  if (!context.hasResponseHeader && trailer === undefined)
    return { status: usualStatus, headers, trailers: undefined };
  const set = (name: string, value: string): void => setField(headers, name, value);
  let trailers: ResponseTrailers | undefined;
  context.eachResponseHeader((name, value) => metadata.header(name, value, set));
  if (trailer !== undefined) {
    if (acceptsTrailers(request)) trailers = metadata.trailers(trailer, set);
    else metadata.trailersAsHeaders(trailer, set);
  }
  const made = context.madeResponseHeader;
  return { status: made === undefined ? usualStatus : successStatus(made, usualStatus), headers, trailers };
}
