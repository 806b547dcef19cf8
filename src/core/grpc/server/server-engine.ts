import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { fromBinary, type DescMethod, type Message } from "@bufbuild/protobuf";
import { Server, ServerInterceptingCall, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { CallContext } from "../../call/context.ts";
import type { Dispatcher } from "../../call/dispatcher.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import type { Handler } from "../../call/handler.ts";
import { LiveSet } from "../../call/live-set.ts";
import { rpcName } from "../../call/service.ts";
import type { SessionLimits } from "../../http2/session-limits.ts";
import { IdentityTrust } from "../../metadata/identity-trust.ts";
import { DirectCall } from "./direct-call.ts";
import { GrpcAdmission, type UnreadRequest } from "./grpc-admission.ts";
import { runCall } from "./run-call.ts";
import type { CallEnvironment } from "./server-call.ts";
import { toEngineOptions, type GrpcServerOptions } from "./server-options.ts";

/** What all calls of one rpc share. */
interface RegisteredRpc {
  readonly handler: Handler;
  /** Decodes a request; throws for malformed bytes. */
  readonly read: (bytes: Buffer) => Message;
}

/**
 * A grpc-js server behind `GrpcAdmission`, whose calls go to a dispatcher; it binds no port; connections are passed to
 * it.
 */
export class ServerEngine {
  /** The grpc-js server. */
  readonly server: Server;
  readonly #dispatcher: Dispatcher;
  readonly #admission: GrpcAdmission;
  readonly #environment: CallEnvironment;
  readonly #rpcs = new Map<string, RegisteredRpc>();
  readonly #maxMessageBytes: number;
  /** Whether unary calls may bypass grpc-js. */
  readonly #direct: boolean;

  /** @throws Error if `GrpcAdmission` does not support this version of grpc-js. */
  constructor(options: GrpcServerOptions, dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
    this.server = new Server({
      ...toEngineOptions(options),
      interceptors: [({ path }, call) => this.#accept(path, call)],
    });
    this.#admission = new GrpcAdmission(
      this.server,
      { ...options, maxConcurrentStreams: streamsOf(options) },
      (path) => this.#rpcs.has(path),
      (path, request) => this.#serveDirectly(path, request),
    );
    const { channelOptions, compressReplies, compressionThresholdBytes, maxConnectionIdleMs } = options;
    this.#maxMessageBytes = options.maxMessageBytes;
    // Only grpc-js obeys its own options, and it detects idle connections by the streams that it serves itself.
    this.#direct = maxConnectionIdleMs === Infinity && Object.keys(channelOptions).length === 0;
    this.#environment = {
      dispatcher,
      defaultTimeoutMs: options.defaultTimeoutMs,
      maxTimeoutMs: options.maxTimeoutMs,
      maxSendBytes: options.maxSendBytes,
      compressionThresholdBytes: compressReplies ? compressionThresholdBytes : undefined,
      calls: new LiveSet(),
      trust: new IdentityTrust(options.trustedPeers),
    };
  }

  /** Serves an rpc for which the dispatcher has a handler. */
  register(method: DescMethod): void {
    const path = `/${rpcName(method)}`;
    const read = reader(method);
    this.#rpcs.set(path, { handler: this.#dispatcher.handlerOf(method), read });
    this.server.register(path, unreachable, unchanged, read, "unary");
  }

  /** Serves a connection. */
  connect(connection: Duplex): void {
    this.#admission.accept(connection);
  }

  /** Serves a stream of a connection that another server has accepted and limits. */
  acceptStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    session: SessionLimits,
  ): void {
    this.#admission.acceptStream(stream, headers, flags, rawHeaders, session);
  }

  /** Answers UNAVAILABLE to a stream of a connection that another server has accepted. */
  refuseStream(stream: ServerHttp2Stream, session: SessionLimits): void {
    this.#admission.refuseStream(stream, session, "the server has not been started");
  }

  /** How many calls are in flight, with those in process. */
  get inFlight(): number {
    return this.#dispatcher.inFlight + this.#outsideDispatcher().length;
  }

  /** Resolves when no call is in flight and every reply has been sent. */
  async idle(): Promise<void> {
    await Promise.all([this.#dispatcher.idle(), this.#environment.calls.idle()]);
  }

  /** Sends GOAWAY to every client. */
  goAway(): void {
    this.#admission.close();
  }

  /** Ends the calls in flight to rpcs for which `which` is true, with UNAVAILABLE. @returns their contexts */
  end(which: (method: DescMethod) => boolean): CallContext[] {
    const reason = new ConnectError("the server is shutting down", Code.Unavailable);
    const outside = this.#outsideDispatcher().map(({ context }) => context);
    const ended = [...this.#dispatcher.calls, ...outside].filter(({ method }) => which(method));
    for (const context of ended) context.abort(reason);
    return ended;
  }

  /**
   * Waits for other servers' connections with streams here to close, at most `timeoutMs` milliseconds, then destroys
   * them.
   */
  async closeGuests(timeoutMs: number): Promise<void> {
    await this.#admission.guestsClosed(timeoutMs);
    this.#admission.cutGuests();
  }

  /** Releases the resources of grpc-js. */
  shutdown(): void {
    this.server.forceShutdown();
  }

  #outsideDispatcher() {
    return [...this.#environment.calls].filter((call) => call.outsideDispatcher);
  }

  /** Serves unary calls without grpc-js, except compressed requests, which grpc-js inflates. */
  #serveDirectly(path: string, request: UnreadRequest): boolean {
    const rpc = this.#rpcs.get(path);
    if (!this.#direct || rpc?.handler.kind !== "unary") return false;
    const { stream, headers } = request;
    const encoding = headers["grpc-encoding"];
    if (encoding !== undefined && encoding !== "identity") return false;
    const call = new DirectCall(stream, this.#maxMessageBytes, rpc.read);
    runCall(this.#environment, rpc.handler, call, { ...request, frames: call });
    return true;
  }

  /** Runs every call of a registered rpc instead of grpc-js' own handlers. */
  #accept(path: string, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const handler = this.#rpcs.get(path)?.handler;
    const request = this.#admission.current;
    if (handler === undefined || request === undefined) return new ServerInterceptingCall(call);
    runCall(this.#environment, handler, call, request);
    return inert;
  }
}

/**
 * Decodes requests. Fields of type bytes are views of the input's class: of Uint8Array, as the generated types promise.
 */
function reader(method: DescMethod): (bytes: Buffer) => Message {
  return ({ buffer, byteOffset, byteLength }) =>
    fromBinary(method.input, new Uint8Array(buffer, byteOffset, byteLength));
}

/** Replies are encoded before grpc-js receives them. */
function unchanged(bytes: Buffer): Buffer {
  return bytes;
}

function unreachable(): void {}

/**
 * Passed to grpc-js' own handlers instead of the call: its start does nothing, and they act only on events after the
 * start. So they never use the call that it wraps.
 */
const inert = new ServerInterceptingCall({} as ServerInterceptingCallInterface, { start() {} });

/** Calls at the same time on one connection; grpc-js' own option takes precedence. */
function streamsOf({ channelOptions, maxConcurrentStreams }: GrpcServerOptions): number {
  return Number(channelOptions["grpc.max_concurrent_streams"] ?? maxConcurrentStreams);
}
