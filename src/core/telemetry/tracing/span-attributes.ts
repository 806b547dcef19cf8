import type { Attributes } from "@opentelemetry/api";
import type { CallContext } from "../../call/context.ts";
import type { CallArrival } from "../../call/observer.ts";
import { rpcName } from "../../call/service.ts";
import { codeName } from "../../errors/code-name.ts";
import { Code } from "../../errors/errors.ts";
import { pathOf, queryOf } from "../../net/request-target.ts";
import { messagesOf } from "../call-messages.ts";
import type { Redactor } from "../redact.ts";

/** Codes by which the span of a server is an error: those that are its own fault. */
const serverErrors: ReadonlySet<number> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** Whether the span of a server is an error. @param status of HTTP; undefined for protocols that have none */
export function isServerError(code: number, status: number | undefined): boolean {
  return (status !== undefined && status >= 500) || serverErrors.has(code);
}

/** How a call ended, for the attributes of its span. */
export interface CallEnd {
  /** gRPC code; 0 for OK. */
  readonly code: number;
  /** HTTP status; undefined for gRPC and WebSockets. */
  readonly status: number | undefined;
  /** Template of the REST route; undefined for others. */
  readonly route: string | undefined;
  readonly httpVersion: string;
  readonly client: string;
}

/** Whether calls of a protocol are named and described as requests of HTTP, not as calls of RPC. */
export function isHttp({ protocolName }: CallContext): boolean {
  return protocolName === "rest";
}

/** The name of the span of a server, which never has a client's own text. */
export function serverSpanName(context: CallContext, { route }: CallEnd): string {
  if (!isHttp(context)) return rpcName(context.method);
  return route === undefined ? context.requestMethod : `${context.requestMethod} ${route}`;
}

/** The attributes of the span of a server, by the semantic conventions of OpenTelemetry for HTTP and RPC. */
export function serverAttributes(
  context: CallContext,
  { head, isSecure }: CallArrival,
  end: CallEnd,
  redactor: Redactor,
): Attributes {
  const { method, protocolName, requestId } = context;
  const { code, status, route, httpVersion, client } = end;
  const authority = head.headers[":authority"] ?? head.headers["host"];
  const { received, sent } = messagesOf(context, code === 0);
  const attributes: Attributes = {
    "rpc.method": rpcName(method),
    "ts_ms.request_id": requestId,
    "ts_ms.door": protocolName,
    "network.protocol.name": protocolName === "websocket" ? "websocket" : "http",
    "network.protocol.version": httpVersion === "2.0" ? "2" : httpVersion,
    ...(client !== "" && { "client.address": client }),
    ...(typeof authority === "string" && addressOf(authority, isSecure)),
  };
  if (method.methodKind !== "unary") {
    attributes["ts_ms.messages.received"] = received;
    attributes["ts_ms.messages.sent"] = sent;
  }
  const isError = isServerError(code, status);
  if (isHttp(context)) {
    attributes["http.request.method"] = head.method;
    attributes["url.scheme"] = isSecure ? "https" : "http";
    attributes["url.path"] = pathOf(head.url);
    const query = queryOf(redactor.target(head.url));
    if (query !== "") attributes["url.query"] = query;
    if (route !== undefined) attributes["http.route"] = route;
    if (status !== undefined) attributes["http.response.status_code"] = status;
    const agent = head.headers["user-agent"];
    if (typeof agent === "string") attributes["user_agent.original"] = agent;
    if (isError) attributes["error.type"] = String(status ?? codeName(code));
  } else {
    attributes["rpc.system.name"] = protocolName === "connect" ? "connectrpc" : "grpc";
    attributes["rpc.response.status_code"] = codeName(code);
    if (isError) attributes["error.type"] = codeName(code);
  }
  return attributes;
}

/** `server.address` and `server.port` of an authority. */
export function addressOf(authority: string, isSecure: boolean): Attributes {
  const [, bracketed, bare, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(authority) ?? [];
  const address = bracketed ?? bare;
  if (address === undefined) return { "server.address": authority };
  return {
    "server.address": address,
    "server.port": port === undefined ? (isSecure ? 443 : 80) : Number(port),
  };
}
