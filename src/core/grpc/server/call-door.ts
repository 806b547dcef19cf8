import type { IncomingHttpHeaders } from "node:http2";
import { Code } from "../../errors/errors.ts";
import { http2Counts } from "../../http2/http2-counts.ts";
import { errorCode } from "../../http2/http2-error.ts";
import { parseTimeout } from "../../wire/grpc-timeout.ts";
import type { CallHead, CallStream, ClientConnection, ServerStreamListener } from "./call-stream.ts";
import { GrpcRequestCheck, statusRefusal, type HeaderLimits, type Refusal } from "./grpc-request-check.ts";
import type { CallEnvironment } from "./server-call.ts";
import { ServerStreamCall } from "./server-stream-call.ts";
import { ServerUnaryCall } from "./server-unary-call.ts";
import type { ServedRpc } from "./served-rpc.ts";

/** Serves requests to rpcs that the server itself does not have. */
export interface OtherRpcs {
  has(path: string): boolean;
  /** Serves a request whose head is good. */
  serve(stream: CallStream, path: string, head: CallHead, connection: ClientConnection): void;
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
      this.refuseUnprocessed(stream);
      return;
    }
    const { fields } = head;
    const problem = this.#check.problem(fields, head.rawFields);
    if (problem !== undefined) {
      refuse(stream, problem);
      return;
    }
    const path = fields[":path"] ?? "";
    const rpc = this.#rpcs.get(path);
    if (rpc !== undefined && !(this.#leftOut.has(path) && this.#others.has(path))) {
      this.#run(rpc, stream, fields, connection);
    } else if (this.#others.has(path)) {
      this.#others.serve(stream, path, head, connection);
    } else {
      refuse(stream, unknownMethod(path));
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
  refuseUnprocessed(stream: CallStream): void {
    http2Counts.server.refusedStreams++;
    stream.listen(new RefusedRequest(stream));
    stream.reset(errorCode.refusedStream);
  }

  /** Refuses a request with UNAVAILABLE. */
  refuse(stream: CallStream, message: string): void {
    refuse(stream, statusRefusal(Code.Unavailable, message));
  }

  #run(rpc: ServedRpc, stream: CallStream, headers: IncomingHttpHeaders, { peer }: ClientConnection): void {
    const timeout = headers["grpc-timeout"];
    const timeoutMs = typeof timeout === "string" ? parseTimeout(timeout) : undefined;
    const request = { headers, timeoutMs, peer };
    const { handler } = rpc;
    stream.listen(
      handler.kind === "unary"
        ? new ServerUnaryCall(this.#environment, rpc, handler, stream, request)
        : new ServerStreamCall(this.#environment, rpc, handler, stream, request),
    );
  }
}

function unknownMethod(path: string): Refusal {
  return statusRefusal(Code.Unimplemented, `The server does not implement the method ${path}`);
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
