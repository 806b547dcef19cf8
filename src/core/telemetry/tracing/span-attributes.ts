import type { CallContext } from "../../call/context.ts";
import type { CallArrival } from "../../call/observer.ts";
import { rpcName } from "../../call/service.ts";
import { codeName } from "../../errors/code-name.ts";
import { Code } from "../../errors/errors.ts";
import { pathOf, queryOf } from "../../net/request-target.ts";
import { messagesOf } from "../call-messages.ts";
import type { Redactor } from "../redact.ts";
import type { AttributeSink } from "./span-text.ts";

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

/** Gives the attributes of the span of a server, by the semantic conventions of OpenTelemetry for HTTP and RPC. */
export function putServerAttributes(
  context: CallContext,
  { head, isSecure }: CallArrival,
  end: CallEnd,
  redactor: Redactor,
  sink: AttributeSink,
): void {
  const { method, protocolName, requestId } = context;
  const { code, status, route, httpVersion, client } = end;
  const { headers } = head;
  sink.put("rpc.method", rpcName(method));
  sink.put("ts_ms.request_id", requestId);
  sink.put("ts_ms.door", protocolName);
  sink.put("network.protocol.name", protocolName === "websocket" ? "websocket" : "http");
  sink.put("network.protocol.version", httpVersion === "2.0" ? "2" : httpVersion);
  if (client !== "") sink.put("client.address", client);
  const authority = headers[":authority"] ?? headers["host"];
  if (typeof authority === "string") putAddress(authority, isSecure, sink);
  if (method.methodKind !== "unary") {
    const { received, sent } = messagesOf(context, code === 0);
    sink.put("ts_ms.messages.received", received);
    sink.put("ts_ms.messages.sent", sent);
  }
  const isError = isServerError(code, status);
  if (isHttp(context)) {
    sink.put("http.request.method", head.method);
    sink.put("url.scheme", isSecure ? "https" : "http");
    sink.put("url.path", pathOf(head.url));
    const query = queryOf(redactor.target(head.url));
    if (query !== "") sink.put("url.query", query);
    if (route !== undefined) sink.put("http.route", route);
    if (status !== undefined) sink.put("http.response.status_code", status);
    const agent = headers["user-agent"];
    if (typeof agent === "string") sink.put("user_agent.original", agent);
    if (isError) sink.put("error.type", String(status ?? codeName(code)));
  } else {
    sink.put("rpc.system.name", protocolName === "connect" ? "connectrpc" : "grpc");
    sink.put("rpc.response.status_code", codeName(code));
    if (isError) sink.put("error.type", codeName(code));
  }
}

/** Gives `server.address` and `server.port` of an authority. */
export function putAddress(authority: string, isSecure: boolean, sink: AttributeSink): void {
  const [, bracketed, bare, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(authority) ?? [];
  const address = bracketed ?? bare;
  if (address === undefined) {
    sink.put("server.address", authority);
    return;
  }
  sink.put("server.address", address);
  sink.put("server.port", port === undefined ? (isSecure ? 443 : 80) : Number(port));
}
