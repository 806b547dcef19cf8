import type { IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { DescMethod } from "@bufbuild/protobuf";
import type { Admit } from "../../admission/admission.ts";
import type { CallSource } from "../../admission/arrived-call.ts";
import type { CallContext } from "../../call/context.ts";
import { notifyRefusedHead } from "../../call/observer.ts";
import { Code, ConnectError, toCallError } from "../../errors/errors.ts";
import { setRefusalKind } from "../../errors/refusal-kind.ts";
import { http2Counts } from "../../http2/http2-counts.ts";
import { errorCode } from "../../http2/http2-error.ts";
import { requestIdHeader } from "../../metadata/request-id.ts";
import { parseTimeout } from "../../wire/grpc-timeout.ts";
import type {
  CallHead,
  CallRequest,
  CallStream,
  ClientConnection,
  ServerStreamListener,
} from "./call-stream.ts";
import { GrpcRequestCheck, statusRefusal, type HeaderLimits, type Refusal } from "./grpc-request-check.ts";
import { contextOf, type CallEnvironment } from "./server-call.ts";
import { withRequestId } from "./reply-fields.ts";
import { ServerStreamCall } from "./server-stream-call.ts";
import { ServerUnaryCall } from "./server-unary-call.ts";
import type { ServedRpc } from "./served-rpc.ts";
import { answerRefused, WaitingCall } from "./waiting-call.ts";

/** Serves requests to rpcs that the server itself does not have. */
export interface OtherRpcs {
  has(path: string): boolean;
  find(path: string): OtherRpc;
  /** Serves a request whose head is good. @returns what the stream reports to */
  serve(
    rpc: OtherRpc,
    stream: CallStream,
    request: CallRequest,
    head: CallHead,
    connection: ClientConnection,
  ): ServerStreamListener;
}

/** An rpc that the server itself does not have. */
export interface OtherRpc {
  readonly method: DescMethod;
  /** Asks the gates of the rpc; undefined where there are none. */
  readonly admit: Admit | undefined;
}

/**
 * The way of every request into a call, whichever engine and port it comes by: the checks of its head, then its rpc.
 */
export class CallDoor {
  readonly #environment: CallEnvironment;
  readonly #check: GrpcRequestCheck;
  readonly #rpcs = new Map<string, ServedRpc>();
  /** Rpcs that their service leaves out: they are refused, unless another server has them. */
  readonly #leftOut = new Set<string>();
  readonly #others: OtherRpcs;
  #closed = false;

  constructor(environment: CallEnvironment, limits: HeaderLimits, others: OtherRpcs) {
    this.#environment = environment;
    this.#check = new GrpcRequestCheck(limits);
    this.#others = others;
  }

  /** Serves an rpc from now on. @param implemented whether its service has an implementation of it */
  add(path: string, rpc: ServedRpc, implemented: boolean): void {
    this.#rpcs.set(path, rpc);
    if (!implemented) this.#leftOut.add(path);
  }

  /** Refuses further calls of an rpc, unless another server has it. */
  remove(path: string): void {
    this.#rpcs.delete(path);
    this.#leftOut.delete(path);
  }

  /** Serves a request. */
  serve(stream: CallStream, head: CallHead, connection: ClientConnection): void {
    if (this.#closed) {
      this.refuseUnprocessed(stream, head, connection);
      return;
    }
    const { fields } = head;
    const problem = this.#check.problem(fields, head.rawFields);
    if (problem !== undefined) {
      this.#refuse(stream, head, connection, problem);
      return;
    }
    const path = fields[":path"] ?? "";
    const rpc = this.#rpcs.get(path);
    if (rpc !== undefined && !(this.#leftOut.has(path) && this.#others.has(path))) {
      if (rpc.admit === undefined && this.#environment.reports === undefined)
        stream.listen(this.#begin(rpc, stream, fields, connection, undefined));
      else this.#ask(rpc.admit, rpc, stream, head, connection);
    } else if (this.#others.has(path)) {
      const other = this.#others.find(path);
      if (other.admit === undefined && this.#environment.reports === undefined) {
        const request = requestOf(fields, connection, undefined);
        stream.listen(this.#others.serve(other, stream, request, head, connection));
      } else {
        this.#ask(other.admit, other, stream, head, connection);
      }
    } else {
      this.#refuse(stream, head, connection, unknownMethod(path));
    }
  }

  /** Serves no request any more: clients make them elsewhere. */
  close(): void {
    this.#closed = true;
  }

  /**
   * Refuses a request by REFUSED_STREAM (RFC 9113 8.7): no handler has seen it, so that clients may make the call again
   * whatever it does.
   */
  refuseUnprocessed(stream: CallStream, head: CallHead, connection: ClientConnection): void {
    this.#notifyRefused(new ConnectError("the server is shutting down", Code.Unavailable), head, connection);
    http2Counts.server.refusedStreams++;
    stream.listen(new RefusedRequest(stream));
    stream.reset(errorCode.refusedStream);
  }

  /** Refuses a request with UNAVAILABLE. */
  refuse(stream: CallStream, message: string): void {
    refuse(stream, statusRefusal(Code.Unavailable, message));
  }

  /** Refuses a request whose head has come. */
  #refuse(stream: CallStream, head: CallHead, connection: ClientConnection, problem: Refusal): void {
    const { fields } = head;
    const { peer } = connection;
    const { requestIds, trust } = this.#environment;
    const id = requestIds?.of(fields[requestIdHeader], () => trust.includes(peer));
    this.#notifyRefused(problem.error, head, connection, problem.status, id);
    refuse(stream, id === undefined ? problem : { ...problem, head: withRequestId(problem.head, id) });
  }

  /** Notifies observers of a request that was refused by its head. */
  #notifyRefused(
    error: ConnectError,
    head: CallHead,
    connection: ClientConnection,
    status?: number,
    requestId?: string,
  ): void {
    const { observers, reports, trust } = this.#environment;
    if (observers.length === 0) return;
    const path = head.fields[":path"] ?? "";
    const method =
      this.#rpcs.get(path)?.handler.method ??
      (this.#others.has(path) ? this.#others.find(path).method : undefined);
    const arrival = reports?.arrivalOf(sourceOf(head, connection), trust.includes(connection.peer));
    const sender = {
      requestId,
      get client() {
        return arrival?.client ?? "";
      },
    };
    notifyRefusedHead(observers, { method, protocolName: "grpc", error, arrival, status, sender });
  }

  #begin(
    rpc: ServedRpc,
    stream: CallStream,
    fields: IncomingHttpHeaders,
    connection: ClientConnection,
    context: CallContext | undefined,
  ): ServerStreamListener {
    const { handler } = rpc;
    const request = requestOf(fields, connection, context);
    return handler.kind === "unary"
      ? new ServerUnaryCall(this.#environment, rpc, handler, stream, request)
      : new ServerStreamCall(this.#environment, rpc, handler, stream, request);
  }

  /**
   * Tells observers of the call and asks the gates, before it begins: none of its messages is read until they have
   * admitted it.
   */
  #ask(
    admit: Admit | undefined,
    rpc: ServedRpc | OtherRpc,
    stream: CallStream,
    head: CallHead,
    connection: ClientConnection,
  ): void {
    const { fields } = head;
    const { calls, observers, reports, trust } = this.#environment;
    const method = "handler" in rpc ? rpc.handler.method : rpc.method;
    const context = contextOf(method, requestOf(fields, connection, undefined), this.#environment);
    const source = sourceOf(head, connection);
    reports?.arrived(context, source, trust.includes(connection.peer));
    if ("handler" in rpc && admit !== undefined) this.#limit(rpc, context);
    const begin = (): ServerStreamListener =>
      "handler" in rpc
        ? this.#begin(rpc, stream, fields, connection, context)
        : this.#others.serve(rpc, stream, requestOf(fields, connection, context), head, connection);
    let admitted: Promise<void> | undefined;
    try {
      admitted = admit?.("grpc", source, context);
    } catch (reason) {
      stream.listen(new RefusedRequest(stream));
      const error = toCallError(reason);
      answerRefused(stream, context, error);
      context.end();
      reports?.answered(context, error, false);
      return;
    }
    if (admitted === undefined) {
      stream.listen(begin());
      return;
    }
    const waiting = new WaitingCall(stream, context, calls, reports, observers);
    stream.listen(waiting);
    void waiting.run(admitted, begin);
  }

  /** What gates wait for counts against the time of the call. */
  #limit({ handler }: ServedRpc, context: CallContext): void {
    const { defaultTimeoutMs, maxTimeoutMs } = this.#environment;
    const byDefault = handler.limitMs ?? (handler.kind === "unary" ? defaultTimeoutMs : 0);
    const limitMs = context.deadline === undefined ? byDefault : maxTimeoutMs;
    if (limitMs > 0) context.limit(limitMs);
  }
}

function requestOf(
  headers: IncomingHttpHeaders,
  { peer }: ClientConnection,
  context: CallContext | undefined,
): CallRequest {
  const timeout = headers["grpc-timeout"];
  const timeoutMs = typeof timeout === "string" ? parseTimeout(timeout) : undefined;
  return { headers, timeoutMs, peer, context };
}

function sourceOf({ fields, rawFields }: CallHead, connection: ClientConnection): CallSource {
  // Connections are sockets, or stand for one.
  const socket = connection.socket as Duplex & Partial<Pick<TLSSocket, "remoteAddress" | "encrypted">>;
  return {
    head: { method: "POST", url: fields[":path"] ?? "", headers: fields, rawHeaders: rawFields },
    isSecure: socket.encrypted === true,
    remoteAddress: socket.remoteAddress,
  };
}

function unknownMethod(path: string): Refusal {
  const refusal = statusRefusal(Code.Unimplemented, `The server does not implement the method ${path}`);
  setRefusalKind(refusal.error, "no_route");
  return refusal;
}

function refuse(stream: CallStream, { head, body }: Refusal): void {
  stream.listen(new RefusedRequest(stream));
  stream.respond(head, body === undefined);
  if (body !== undefined) stream.end(Buffer.from(body));
}

/** Reads the request that a refusal answers, for as long as the client sends it. */
class RefusedRequest implements ServerStreamListener {
  readonly #stream: CallStream;

  constructor(stream: CallStream) {
    this.#stream = stream;
  }

  onData(chunk: Buffer): void {
    this.#stream.use(chunk.length);
  }

  onEnd(): void {}
  onDrain(): void {}
  onFinish(): void {}
  release(): void {}
}
