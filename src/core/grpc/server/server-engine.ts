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

/** What an rpc's calls need. */
interface RegisteredRpc {
  readonly handler: Handler;
  /** Reads a request; throws if the bytes are none. */
  readonly read: (bytes: Buffer) => Message;
}

/** A grpc-js server behind `GrpcAdmission`, whose calls go to a dispatcher; it is given connections and binds nothing. */
export class ServerEngine {
  /** The grpc-js server. */
  readonly server: Server;
  readonly #dispatcher: Dispatcher;
  readonly #admission: GrpcAdmission;
  readonly #environment: CallEnvironment;
  readonly #rpcs = new Map<string, RegisteredRpc>();
  readonly #maxMessageBytes: number;
  /** Whether unary calls may do without grpc-js. */
  readonly #direct: boolean;

  /** @throws Error if this version of grpc-js is not the one `GrpcAdmission` was written for. */
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
      (path, request) => this.#take(path, request),
    );
    const { channelOptions, compressReplies, compressionThresholdBytes, maxConnectionIdleMs } = options;
    this.#maxMessageBytes = options.maxMessageBytes;
    // Options of grpc-js are obeyed by grpc-js, and it tells idle connections by the streams that it serves.
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

  /** Serves an rpc that the dispatcher has a handler for. */
  register(method: DescMethod): void {
    const path = `/${rpcName(method)}`;
    const read = reader(method);
    this.#rpcs.set(path, { handler: this.#dispatcher.handlerOf(method), read });
    this.server.register(path, unreachable, passed, read, "unary");
  }

  /** Serves a connection. */
  connect(connection: Duplex): void {
    this.#admission.accept(connection);
  }

  /** Serves a stream of a connection that somebody else has accepted, and watches over. */
  acceptStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    session: SessionLimits,
  ): void {
    this.#admission.acceptStream(stream, headers, flags, rawHeaders, session);
  }

  /** Answers UNAVAILABLE to a stream of a connection that somebody else has accepted. */
  refuseStream(stream: ServerHttp2Stream, session: SessionLimits): void {
    this.#admission.refuseStream(stream, session, "the server has not been started");
  }

  /** How many calls are under way, in-process ones included. */
  get inFlight(): number {
    return this.#dispatcher.inFlight + this.#outsideDispatcher().length;
  }

  /** Resolves when no call is under way and every reply has been taken by its client. */
  async idle(): Promise<void> {
    await Promise.all([this.#dispatcher.idle(), this.#environment.calls.idle()]);
  }

  /** Tells every client to open no more streams. */
  goAway(): void {
    this.#admission.close();
  }

  /** Ends calls under way with UNAVAILABLE: those of the rpcs that `which` says. Returns their contexts. */
  end(which: (method: DescMethod) => boolean): CallContext[] {
    const reason = new ConnectError("the server is shutting down", Code.Unavailable);
    const outside = this.#outsideDispatcher().map(({ context }) => context);
    const ended = [...this.#dispatcher.calls, ...outside].filter(({ method }) => which(method));
    for (const context of ended) context.abort(reason);
    return ended;
  }

  /** Waits for connections of others whose streams came here to close, then cuts them. */
  async farewell(timeoutMs: number): Promise<void> {
    await this.#admission.guestsGone(timeoutMs);
    this.#admission.cutGuests();
  }

  /** Releases what grpc-js holds. */
  shutdown(): void {
    this.server.forceShutdown();
  }

  #outsideDispatcher() {
    return [...this.#environment.calls].filter((call) => call.outsideDispatcher);
  }

  /** Serves unary calls without grpc-js, unless they need it: it inflates requests. */
  #take(path: string, request: UnreadRequest): boolean {
    const rpc = this.#rpcs.get(path);
    if (!this.#direct || rpc?.handler.kind !== "unary") return false;
    const { stream, headers } = request;
    const encoding = headers["grpc-encoding"];
    if (encoding !== undefined && encoding !== "identity") return false;
    const call = new DirectCall(stream, this.#maxMessageBytes, rpc.read);
    runCall(this.#environment, rpc.handler, call, { ...request, frames: call });
    return true;
  }

  /** Takes every call of a registered rpc out of the hands of grpc-js' own handlers. */
  #accept(path: string, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const handler = this.#rpcs.get(path)?.handler;
    const request = this.#admission.current;
    if (handler === undefined || request === undefined) return new ServerInterceptingCall(call);
    runCall(this.#environment, handler, call, request);
    return inert;
  }
}

/** Reads requests; their fields of bytes are slices of what is read, and are to be no Buffers. */
function reader(method: DescMethod): (bytes: Buffer) => Message {
  return ({ buffer, byteOffset, byteLength }) =>
    fromBinary(method.input, new Uint8Array(buffer, byteOffset, byteLength));
}

/** Replies are encoded before they are handed to grpc-js. */
function passed(bytes: Buffer): Buffer {
  return bytes;
}

function unreachable(): void {}

/**
 * What grpc-js' own handlers get instead of the call: starting it does nothing, and they act only on what they hear
 * after the start. So the call behind it is never asked for.
 */
const inert = new ServerInterceptingCall({} as ServerInterceptingCallInterface, { start() {} });

/** Calls at a time on one connection: an option of grpc-js wins, as its own. */
function streamsOf({ channelOptions, maxConcurrentStreams }: GrpcServerOptions): number {
  return Number(channelOptions["grpc.max_concurrent_streams"] ?? maxConcurrentStreams);
}
