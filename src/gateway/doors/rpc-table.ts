import type { DescMethod, DescMethodUnary, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { parseContentType as parseConnectType } from "@connectrpc/connect/protocol-connect";
import { parseContentType as parseGrpcType } from "@connectrpc/connect/protocol-grpc";
import { parseContentType as parseGrpcWebType } from "@connectrpc/connect/protocol-grpc-web";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Code } from "../../core/errors/errors.ts";
import { rpcName } from "../../core/call/service.ts";
import type { Exchange } from "../http/exchange.ts";
import { pathOf } from "../../core/net/request-target.ts";
import { ConnectErrorJson } from "./connect/connect-error-json.ts";
import { connectUnary, type ConnectUnary } from "./connect/connect-unary.ts";
import { type BodyForm, type EnvelopedHandler, envelopedCall } from "./rpc/enveloped-call.ts";
import { type Refusal, refuse } from "./rpc/refusal.ts";
import { headerValue } from "./rpc/rpc-call.ts";
import { rpcMark, type RpcMark } from "./rpc/rpc-mark.ts";
import { RpcMetadata } from "./rpc/rpc-metadata.ts";
import type { RpcOptions } from "./rpc/rpc-options.ts";
import { connectStreams } from "./connect/connect-streams.ts";
import { grpc } from "./grpc/grpc.ts";
import { grpcWeb } from "./grpc-web/grpc-web.ts";

/** The protocols of one rpc. */
interface RpcHandlers {
  readonly method: DescMethod;
  /** Undefined for rpcs that stream. */
  readonly connectUnary: ConnectUnary | undefined;
  /** Undefined for unary rpcs. */
  readonly connectStream: EnvelopedHandler | undefined;
  readonly grpcWeb: EnvelopedHandler;
  readonly grpc: EnvelopedHandler;
}

/**
 * Every rpc of a set of services at `/package.Service/Method`, by the Connect protocol and by gRPC-Web. It never
 * changes: other services are another table.
 */
export class RpcTable {
  readonly #rpcs = new Map<string, RpcHandlers>();

  /** @param optionsOf the options of an rpc, where they are not those of all */
  constructor(
    services: readonly DescService[],
    options: RpcOptions,
    optionsOf: (method: DescMethod) => RpcOptions = () => options,
  ) {
    const metadata = new RpcMetadata(options);
    const errorJson = new ConnectErrorJson(options.registry);
    const connect = connectStreams(errorJson);
    for (const method of services.flatMap(({ methods }) => methods)) {
      const own = optionsOf(method);
      const unary = method.methodKind === "unary"; // The types do not follow this.
      this.#rpcs.set(`/${rpcName(method)}`, {
        method,
        connectUnary: unary ? connectUnary(method as DescMethodUnary, own, metadata, errorJson) : undefined,
        connectStream: unary ? undefined : envelopedCall(method, connect, own, metadata),
        grpcWeb: envelopedCall(method, grpcWeb, own, metadata),
        grpc: envelopedCall(method, grpc, own, metadata),
      });
    }
  }

  /** The HTTP methods of the rpc of this target by these protocols; none where there is no rpc. */
  methods(url: string): readonly string[] {
    const rpc = this.#rpcs.get(pathOf(url));
    if (rpc === undefined) return [];
    const { idempotency, methodKind } = rpc.method;
    const isRead = methodKind === "unary" && idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
    return isRead ? ["GET", "POST"] : ["POST"];
  }

  /** Answers a request that has the marks of these protocols. False for all others, which are REST. */
  answer(request: FastifyRequest, reply: FastifyReply): boolean {
    const { raw } = request;
    const mark = rpcMark(raw);
    if (mark === undefined) return false;
    const path = pathOf(raw.url ?? "");
    const rpc = this.#rpcs.get(path);
    if (rpc === undefined) return refuseUnknown(mark, path, reply);
    (reply.raw as Exchange).route = path; // Every server here makes its responses of this class.
    const refusal = serveAs(mark, rpc, request, reply);
    if (refusal !== undefined) refuse(reply, refusal);
    return true;
  }
}

/** What no path of REST looks like by chance. */
const rpcPath = /^\/(?:\w+\.)+\w+\/\w+$/;

/** Whoever shows a mark that only an rpc can have made a mistake; clients take the status for UNIMPLEMENTED. */
function refuseUnknown(mark: RpcMark, path: string, reply: FastifyReply): boolean {
  // Of REST paths these marks say nothing: a parameter may have that name, and headers are whatever clients add.
  if (mark === "connect-get" || (mark === "connect-post" && !rpcPath.test(path))) return false;
  const text = `there is no rpc at ${path}`;
  if (mark === "grpc") {
    const status = { "grpc-status": String(Code.Unimplemented), "grpc-message": encodeURIComponent(text) };
    void reply.headers(status).header("content-type", "application/grpc").send();
  } else {
    refuse(reply, { status: 404, text });
  }
  return true;
}

/** Serves a request to a known rpc, or says why not. */
function serveAs(
  mark: RpcMark,
  rpc: RpcHandlers,
  request: FastifyRequest,
  reply: FastifyReply,
): Refusal | undefined {
  const { raw } = request;
  const { connectUnary: unary, connectStream: stream, method } = rpc;
  const contentType = headerValue(raw.headers["content-type"] ?? undefined) ?? "";
  if (mark === "connect-get") {
    if (unary === undefined) return notAllowed(`${rpcName(method)} streams: use POST`);
    unary.get(request, reply);
    return undefined;
  }
  if (request.method !== "POST") return notAllowed(`${request.method} is not allowed for rpcs, use POST`);
  if (mark === "connect-post") {
    if (unary === undefined) return unsupported(rpc, contentType);
    unary.post(request, reply);
    return undefined;
  }
  const encoding = raw.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  const form = encoding === "identity" ? bodyForm(mark, contentType) : undefined;
  const serve = mark === "grpc-web" ? rpc.grpcWeb : mark === "grpc" ? rpc.grpc : stream;
  if (form === undefined || serve === undefined) return unsupported(rpc, contentType);
  serve(form, request, reply);
  return undefined;
}

/** How the bodies of a call look; undefined for a content type that is not known. */
function bodyForm(mark: "connect-stream" | "grpc-web" | "grpc", contentType: string): BodyForm | undefined {
  if (mark === "grpc-web") {
    const type = parseGrpcWebType(contentType);
    return (
      type && formOf(type.binary, type.text ? "application/grpc-web-text" : "application/grpc-web", type.text)
    );
  }
  const type = mark === "grpc" ? parseGrpcType(contentType) : parseConnectType(contentType);
  return type && formOf(type.binary, mark === "grpc" ? "application/grpc" : "application/connect");
}

function formOf(binary: boolean, base: string, text = false): BodyForm {
  const codec = binary ? "proto" : "json";
  return { codec, text, contentType: `${base}+${codec}` };
}

function notAllowed(text: string): Refusal {
  return { status: 405, text, headers: { allow: "POST" } };
}

function unsupported({ method, connectUnary: unary }: RpcHandlers, contentType: string): Refusal {
  const own =
    unary === undefined
      ? "application/connect+json, application/connect+proto"
      : "application/json, application/proto";
  const accepted = `${own}, application/grpc-web+json, application/grpc-web+proto, application/grpc-web-text+proto`;
  const text = `${rpcName(method)} is not served with ${JSON.stringify(contentType)}: send ${accepted}`;
  return { status: 415, text, headers: { "accept-post": accepted } };
}
