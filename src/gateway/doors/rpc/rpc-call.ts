import type { DescMethod } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import { CallContext } from "../../../core/call/context.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { RpcMetadata } from "./rpc-metadata.ts";

/** Answers one request to one rpc. Never throws. */
export type RpcHandler = (request: FastifyRequest, reply: FastifyReply) => void;

/** The context of a call that came as `request`, aborted when the client leaves. Whoever gets it calls its `end`. */
export function openCall(
  method: DescMethod,
  protocolName: string,
  timeoutMs: number | undefined,
  metadata: RpcMetadata,
  request: FastifyRequest,
  reply: FastifyReply,
): CallContext {
  const { headers, url = "" } = request.raw;
  const exchange = reply.raw as Exchange; // Every server here makes its responses of this class.
  return (exchange.context = new CallContext({
    method,
    protocolName,
    requestHeader: () => metadata.of(headers),
    peer: exchange.peer,
    requestMethod: request.method,
    url,
    timeoutMs,
  }));
}

/** The one value of a request header, as `Headers` gives it. */
export function headerValue(value: string | string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === "string" ? value : value.join(", ");
}
