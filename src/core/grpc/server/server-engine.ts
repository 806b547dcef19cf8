import type { IdleConnection } from "../../net/connection-limit.ts";
import type { Admission } from "../../admission/admission.ts";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Server } from "@grpc/grpc-js";
import type { CallReports } from "../../admission/call-reports.ts";
import type { CallContext } from "../../call/context.ts";
import type { Dispatcher } from "../../call/dispatcher.ts";
import { isHandlerSource } from "../../call/handler.ts";
import { LiveSet } from "../../call/live-set.ts";
import { implementationOf, rpcName, type AnyService } from "../../call/service.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { IncomingRequest } from "../../http2/incoming-request.ts";
import type { ServerStream } from "../../http2/server-stream.ts";
import type { GuestClient, SessionLimits } from "../../http2/session-limits.ts";
import { IdentityTrust } from "../../metadata/identity-trust.ts";
import { RequestIds } from "../../metadata/request-id.ts";
import { CallDoor } from "./call-door.ts";
import type { GrpcConnections } from "./grpc-connections.ts";
import { GrpcJsRpcs } from "./grpc-js-rpcs.ts";
import { GuestConnections } from "./guest-connections.ts";
import { NodeConnections } from "./node-connections.ts";
import { OwnConnections } from "./own-connections.ts";
import type { CallEnvironment } from "./server-call.ts";
import { servedRpc } from "./served-rpc.ts";
import { toEngineOptions, withChannelOptions, type GrpcServerOptions } from "./server-options.ts";

/** What calls are answered before the start. */
const notStarted = "the server has not been started";

/** What of a connection's life the own engine does by other rules for gateways. */
const ofGateways = { keepAliveTimeoutMs: Infinity, heartbeatMs: Infinity, lingerMs: 0 };

/** The options that a running engine can take. */
type ReloadableEngineOptions = Pick<
  GrpcServerOptions,
  "maxMessageBytes" | "maxSendBytes" | "defaultTimeoutMs" | "maxTimeoutMs" | "requestId"
>;

/**
 * What carries the calls of a gRPC server: the connections of its own port by one of two engines, streams of other
 * servers' connections, and the rpcs behind all of them. It binds no port; connections are passed to it.
 */
export class ServerEngine {
  readonly #options: ReturnType<typeof withChannelOptions>;
  readonly #dispatcher: Dispatcher;
  #admission: Admission | undefined;
  readonly #environment: { -readonly [K in keyof CallEnvironment]: CallEnvironment[K] };
  readonly #door: CallDoor;
  readonly #grpcJs: GrpcJsRpcs;
  readonly #guests: GuestConnections;
  #connections: GrpcConnections | undefined;
  /** Resolves when every client is asked to leave; undefined before a stop. */
  #leaving: Promise<void> | undefined;
  /** Why the engine is grpc-js; undefined for our own. */
  #reason: string | undefined;

  constructor(
    options: GrpcServerOptions,
    dispatcher: Dispatcher,
    admission: Admission | undefined,
    reports: CallReports | undefined,
  ) {
    const effective = withChannelOptions(options);
    const { compressReplies, compressionThresholdBytes, maxMessageBytes } = effective;
    this.#options = effective;
    this.#dispatcher = dispatcher;
    this.#admission = admission;
    this.#environment = {
      dispatcher,
      defaultTimeoutMs: options.defaultTimeoutMs,
      maxTimeoutMs: options.maxTimeoutMs,
      maxMessageBytes: maxMessageBytes < 0 ? Infinity : maxMessageBytes,
      maxSendBytes: effective.maxSendBytes,
      compressionThresholdBytes: compressReplies ? compressionThresholdBytes : undefined,
      calls: new LiveSet(),
      observers: options.observers,
      reports,
      trust: new IdentityTrust(options.trustedPeers),
      requestIds: options.requestId === undefined ? undefined : new RequestIds(options.requestId),
    };
    this.#grpcJs = new GrpcJsRpcs(toEngineOptions(options), this.#environment, admission);
    this.#door = new CallDoor(this.#environment, options, this.#grpcJs);
    this.#guests = new GuestConnections(this.#door);
  }

  /**
   * The grpc-js server.
   *
   * @throws SetupError if the engine was chosen without it.
   */
  get grpcJs(): Server {
    if (this.#connections !== undefined && !this.#grpcJs.isUsed) {
      const text = 'read it before `start()`, or set `engine: "grpc-js"`';
      throw new SetupError(
        `GRPC: \`engine\` cannot be read any more, since the server has started without it: ${text}`,
      );
    }
    return this.#grpcJs.server;
  }

  /** Serves the rpcs of a service that the dispatcher has. */
  register(service: AnyService): void {
    for (const method of service.descriptor.methods) {
      const handler = this.#dispatcher.handlerOf(method);
      const admit = this.#admission?.of(method);
      const rpc = servedRpc(method, handler, this.#environment.maxSendBytes, admit);
      const implemented = isHandlerSource(service) || implementationOf(service, method) !== undefined;
      this.#door.add(`/${rpcName(method)}`, rpc, implemented);
    }
  }

  /** Serves the calls that begin from now on by other limits and gates. */
  reload(options: ReloadableEngineOptions, admission: Admission | undefined): void {
    const { maxMessageBytes, maxSendBytes, defaultTimeoutMs, maxTimeoutMs } = options;
    const most = maxMessageBytes < 0 ? Infinity : maxMessageBytes;
    Object.assign(this.#environment, { maxMessageBytes: most, maxSendBytes, defaultTimeoutMs, maxTimeoutMs });
    const { requestIds } = this.#environment;
    if (requestIds !== undefined && options.requestId !== undefined) requestIds.policy = options.requestId;
    this.#admission = admission;
    this.#grpcJs.reload(admission);
    for (const service of this.#dispatcher.registered) this.register(service);
  }

  /** Ends serving the rpcs of a service; calls in flight are completed. */
  unregister({ methods }: DescService): void {
    for (const method of methods) this.#door.remove(`/${rpcName(method)}`);
  }

  /**
   * Chooses the engine, before the first connection.
   *
   * @throws SetupError naming what is in the way of the own engine if that was asked for by name.
   */
  choose(): void {
    const { engine, channelOptions } = this.#options;
    const hindrance =
      Object.keys(channelOptions).length > 0
        ? "channelOptions"
        : this.#grpcJs.isUsed
          ? "grpc.engine was read"
          : undefined;
    if (engine === "own" && hindrance !== undefined) {
      throw new SetupError(`GRPC: \`engine: "own"\` cannot serve: ${hindrance}`);
    }
    this.#reason = engine === "grpc-js" ? "option engine" : hindrance;
    this.#connections =
      this.#reason === undefined
        ? new OwnConnections({ ...this.#options, ...ofGateways }, this.#door)
        : new NodeConnections(this.#options, this.#door);
    if (engine === "grpc-js") void this.#grpcJs.server; // So that it can be read later, too.
  }

  /** Connections without a call. */
  idleConnections(): Iterable<IdleConnection> {
    return this.#connections?.idle() ?? [];
  }

  /** One line for people on the engine, if it is not our own. */
  describe(): string[] {
    return this.#reason === undefined ? [] : [`engine: grpc-js (${this.#reason})`];
  }

  /** Serves a connection. */
  connect(connection: Socket): void {
    this.#connections?.connect(connection);
  }

  /** Serves a stream of a connection that another server has accepted and limits. */
  acceptStream(
    stream: ServerHttp2Stream,
    fields: IncomingHttpHeaders,
    rawFields: readonly string[],
    session: SessionLimits,
  ): void {
    this.#guests.serve(stream, { fields, rawFields }, session);
  }

  /** As `acceptStream`, for connections of our own engine. */
  acceptOwnStream(stream: ServerStream, request: IncomingRequest, client: GuestClient): void {
    this.#guests.serveOwn(stream, request, client);
  }

  /** As `refuseStream`, for connections of our own engine. */
  refuseOwnStream(stream: ServerStream): void {
    this.#door.refuse(stream, notStarted);
  }

  /** Answers UNAVAILABLE to a stream of a connection that another server has accepted. */
  refuseStream(stream: ServerHttp2Stream, session: SessionLimits): void {
    this.#guests.refuse(stream, session, notStarted);
  }

  /** How many calls are in flight, with those in process. */
  get inFlight(): number {
    return this.#dispatcher.inFlight + this.#outsideDispatcher().length;
  }

  /** Resolves when no call is in flight, every reply has been sent, and every client was asked to leave that is to be. */
  async idle(): Promise<void> {
    await this.#leaving;
    await Promise.all([this.#dispatcher.idle(), this.#environment.calls.idle()]);
  }

  /** Refuses every further call as one that was not processed. */
  close(): void {
    this.#door.close();
  }

  /** Sends GOAWAY to every client, many of them in turn. @param graceMs how long the server waits for calls */
  goAway(graceMs: number): void {
    this.#leaving = this.#connections?.close(graceMs);
    this.#guests.close();
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
    await this.#guests.closed(timeoutMs);
    this.#guests.cut();
  }

  /** Releases the resources of grpc-js. */
  shutdown(): void {
    this.#grpcJs.close();
  }

  #outsideDispatcher() {
    return [...this.#environment.calls].filter((call) => call.outsideDispatcher);
  }
}
