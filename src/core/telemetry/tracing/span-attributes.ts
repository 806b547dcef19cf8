import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "../../call/context.ts";
import type { CallArrival } from "../../call/observer.ts";
import { rpcName } from "../../call/service.ts";
import { codeName } from "../../errors/code-name.ts";
import { Code } from "../../errors/errors.ts";
import { pathOf, queryOf } from "../../net/request-target.ts";
import { messagesOf } from "../call-messages.ts";
import type { Redactor } from "../redact.ts";
import type { AttributeSink } from "./known-attribute.ts";

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

/** Of the name of an unknown rpc so many characters are in its span. */
const longestOriginal = 256;

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

/** A request that was refused before there was a call. */
export interface RefusedRequest extends Omit<CallEnd, "client"> {
  /** The rpc; undefined where none was found. */
  readonly method: DescMethod | undefined;
  /** `http` for a request without a known protocol. */
  readonly protocolName: string;
  readonly requestId: string | undefined;
}

/** Whether calls of a protocol are named and described as requests of HTTP, not as calls of RPC. */
function isHttp(protocolName: string): boolean {
  return protocolName === "rest" || protocolName === "http";
}

/** The system of RPC, as the conventions name it. */
function systemOf(protocolName: string): string {
  return protocolName === "connect" ? "connectrpc" : "grpc";
}

/** The name of the last span of a route: most calls are of the same one. */
let named = { method: "", route: "", name: "" };

/** The name of the span of a server, which never has a client's own text. */
export function serverSpanName(context: CallContext, { route }: CallEnd): string {
  if (!isHttp(context.protocolName)) return rpcName(context.method);
  const { requestMethod: method } = context;
  if (route === undefined) return method;
  if (named.method !== method || named.route !== route) named = { method, route, name: `${method} ${route}` };
  return named.name;
}

/** The name of the span of a refused request, which never has a client's own text. */
export function refusedSpanName({ head }: CallArrival, { method, protocolName }: RefusedRequest): string {
  if (isHttp(protocolName)) return head.method;
  return method === undefined ? systemOf(protocolName) : rpcName(method);
}

/** Gives the attributes of the span of a server, by the semantic conventions of OpenTelemetry for HTTP and RPC. */
export function putServerAttributes(
  context: CallContext,
  arrival: CallArrival,
  end: CallEnd,
  redactor: Redactor,
  sink: AttributeSink,
): void {
  const { method, protocolName, requestId } = context;
  sink.put("rpc.method", rpcName(method));
  sink.put("ts_ms.request_id", requestId);
  putConnection(protocolName, arrival, end, sink);
  if (method.methodKind !== "unary") {
    const { received, sent } = messagesOf(context, end.code === 0);
    sink.put("ts_ms.messages.received", received);
    sink.put("ts_ms.messages.sent", sent);
  }
  putOutcome(protocolName, arrival, end, redactor, sink);
}

/** As `putServerAttributes`, of a refused request. */
export function putRefusedAttributes(
  arrival: CallArrival,
  refused: RefusedRequest,
  redactor: Redactor,
  sink: AttributeSink,
): void {
  const { method, protocolName, requestId } = refused;
  if (method !== undefined) sink.put("rpc.method", rpcName(method));
  else if (!isHttp(protocolName)) {
    sink.put("rpc.method", "_OTHER");
    sink.put("rpc.method_original", pathOf(arrival.head.url).slice(1, 1 + longestOriginal));
  }
  if (requestId !== undefined) sink.put("ts_ms.request_id", requestId);
  putConnection(protocolName, arrival, { ...refused, client: arrival.client }, sink);
  putOutcome(protocolName, arrival, refused, redactor, sink);
}

function putConnection(
  protocolName: string,
  { head, isSecure }: CallArrival,
  { httpVersion, client }: Pick<CallEnd, "httpVersion" | "client">,
  sink: AttributeSink,
): void {
  sink.put("ts_ms.door", protocolName);
  sink.put("network.protocol.name", protocolName === "websocket" ? "websocket" : "http");
  sink.put("network.protocol.version", httpVersion === "2.0" ? "2" : httpVersion);
  if (client !== "") sink.put("client.address", client);
  const authority = head.headers[":authority"] ?? head.headers["host"];
  if (typeof authority === "string") putAddress(authority, isSecure, sink);
}

function putOutcome(
  protocolName: string,
  { head, isSecure }: CallArrival,
  { code, status, route }: Pick<CallEnd, "code" | "status" | "route">,
  redactor: Redactor,
  sink: AttributeSink,
): void {
  const isError = isServerError(code, status);
  if (isHttp(protocolName)) {
    sink.put("http.request.method", head.method);
    sink.put("url.scheme", isSecure ? "https" : "http");
    sink.put("url.path", pathOf(head.url));
    const query = queryOf(redactor.target(head.url));
    if (query !== "") sink.put("url.query", query);
    if (route !== undefined) sink.put("http.route", route);
    if (status !== undefined) sink.put("http.response.status_code", status);
    const agent = head.headers["user-agent"];
    if (typeof agent === "string") sink.put("user_agent.original", agent);
    if (isError) sink.put("error.type", String(status ?? codeName(code)));
  } else {
    sink.put("rpc.system.name", systemOf(protocolName));
    sink.put("rpc.response.status_code", codeName(code));
    if (isError) sink.put("error.type", codeName(code));
  }
}

interface Authority {
  readonly text: string;
  /** The text itself where it is no host with or without a port. */
  readonly host: string;
  readonly port: number | undefined;
}

/** The last authority: most calls are for the same one. */
let split: Authority = splitAuthority("");

/** Gives `server.address` and `server.port` of an authority. */
export function putAddress(authority: string, isSecure: boolean, sink: AttributeSink): void {
  if (split.text !== authority) split = splitAuthority(authority);
  const { host, port } = split;
  sink.put("server.address", host);
  if (port !== undefined) sink.put("server.port", port === 0 ? (isSecure ? 443 : 80) : port);
}

/** @returns port 0 where none is named, undefined for a text that is no authority */
function splitAuthority(text: string): Authority {
  const [, bracketed, bare, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  const host = bracketed ?? bare;
  if (host === undefined) return { text, host: text, port: undefined };
  return { text, host, port: port === undefined ? 0 : Number(port) };
}
