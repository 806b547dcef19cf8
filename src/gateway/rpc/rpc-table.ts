import type { DescMethod, DescMethodUnary, DescService } from "@bufbuild/protobuf";
import { parseContentType as parseConnectType } from "@connectrpc/connect/protocol-connect";
import { parseContentType as parseGrpcWebType } from "@connectrpc/connect/protocol-grpc-web";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Code } from "../../core/errors.ts";
import { rpcName } from "../../core/service.ts";
import type { Exchange } from "../exchange.ts";
import { HttpError } from "../http-error.ts";
import { ConnectErrorJson } from "./connect-error-json.ts";
import { connectUnary, type ConnectUnary } from "./connect-unary.ts";
import { type EnvelopedHandler, envelopedCall } from "./enveloped-call.ts";
import { headerValue } from "./rpc-call.ts";
import { rpcMark, type RpcMark } from "./rpc-mark.ts";
import { RpcMetadata } from "./rpc-metadata.ts";
import type { RpcOptions } from "./rpc-options.ts";
import { connectStreams, grpcWeb } from "./stream-protocol.ts";

/** The protocols of one rpc. */
interface Rpc {
  readonly method: DescMethod;
  /** Undefined for rpcs that stream. */
  readonly connectUnary: ConnectUnary | undefined;
  /** Undefined for unary rpcs. */
  readonly connectStream: EnvelopedHandler | undefined;
  readonly grpcWeb: EnvelopedHandler;
}

/**
 * Every rpc of a set of services at `/package.Service/Method`, by the Connect protocol and by gRPC-Web. It never
 * changes: other services are another table.
 */
export class RpcTable {
  readonly #rpcs = new Map<string, Rpc>();
  readonly #options: RpcOptions;

  /** @param optionsOf the options of an rpc, where they are not those of all */
  constructor(
    services: readonly DescService[],
    options: RpcOptions,
    optionsOf: (method: DescMethod) => RpcOptions = () => options,
  ) {
    this.#options = options;
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
      });
    }
  }

  /** Answers a request that has the marks of these protocols. False for all others, which are REST. */
  answer(request: FastifyRequest, reply: FastifyReply): boolean {
    const { raw } = request;
    const mark = rpcMark(raw);
    if (mark === undefined) return false;
    const { url = "" } = raw;
    const end = url.indexOf("?");
    const path = end === -1 ? url : url.slice(0, end);
    const rpc = this.#rpcs.get(path);
    if (rpc === undefined) return this.#unknown(mark, path, reply);
    (reply.raw as Exchange).route = path; // Every server here makes its responses of this class.
    const refusal = serveAs(mark, rpc, request, reply);
    if (refusal !== undefined) this.#options.errors.send(reply, refusal);
    return true;
  }

  /** Whoever shows a mark that only an rpc can have made a mistake; clients take the status for UNIMPLEMENTED. */
  #unknown(mark: RpcMark, path: string, reply: FastifyReply): boolean {
    if (mark === "connect-post" || mark === "connect-get") return false;
    const error = new HttpError(404, `there is no rpc at ${path}`, { code: Code.Unimplemented });
    this.#options.errors.send(reply, error);
    return true;
  }
}

/** Serves a request to a known rpc, or says why not. */
function serveAs(
  mark: RpcMark,
  rpc: Rpc,
  request: FastifyRequest,
  reply: FastifyReply,
): HttpError | undefined {
  const { raw } = request;
  const { connectUnary: unary, connectStream: stream, method } = rpc;
  const contentType = headerValue(raw.headers["content-type"] ?? undefined) ?? "";
  if (mark === "connect-post") {
    if (unary === undefined) return unsupported(rpc, contentType);
    unary.post(request, reply);
    return undefined;
  }
  if (mark === "connect-get") {
    if (unary === undefined) return notAllowed(`${rpcName(method)} streams: use POST`);
    unary.get(request, reply);
    return undefined;
  }
  if (request.method !== "POST") return notAllowed(`${request.method} is not allowed for rpcs, use POST`);
  const encoding = raw.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  const type = mark === "grpc-web" ? parseGrpcWebType(contentType) : parseConnectType(contentType);
  const serve = mark === "grpc-web" ? rpc.grpcWeb : stream;
  if (type === undefined || serve === undefined || encoding !== "identity")
    return unsupported(rpc, contentType);
  const codec = type.binary ? "proto" : "json";
  if ("text" in type) {
    const base = type.text ? "application/grpc-web-text" : "application/grpc-web";
    serve({ codec, text: type.text, contentType: `${base}+${codec}` }, request, reply);
  } else {
    serve({ codec, text: false, contentType: `application/connect+${codec}` }, request, reply);
  }
  return undefined;
}

function notAllowed(text: string): HttpError {
  return new HttpError(405, text, { headers: { allow: "POST" } });
}

function unsupported({ method, connectUnary: unary }: Rpc, contentType: string): HttpError {
  const own =
    unary === undefined
      ? "application/connect+json, application/connect+proto"
      : "application/json, application/proto";
  const accepted = `${own}, application/grpc-web+json, application/grpc-web+proto, application/grpc-web-text+proto`;
  const text = `${rpcName(method)} is not served with ${JSON.stringify(contentType)}: send ${accepted}`;
  return new HttpError(415, text, { headers: { "accept-post": accepted } });
}
