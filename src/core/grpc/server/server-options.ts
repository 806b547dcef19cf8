import type { ConnectionLimit } from "../../net/connection-limit.ts";
import type { ServerOptions as EngineOptions } from "@grpc/grpc-js";
import { dispatcherDefaults, type DispatcherOptions } from "../../call/dispatcher.ts";
import type { ConnectionBook } from "../../admission/connection-book.ts";
import type { Gate } from "../../admission/gate.ts";
import type { SessionLimitOptions } from "../../http2/session-limits.ts";
import { http2TuningDefaults, type Http2Tuning } from "../../http2/server-session-options.ts";
import { announcedStreams } from "../../http2/stream-turns.ts";
import type { ServerTlsOptions } from "../../net/tls.ts";
import type { TrustedPeers } from "../../metadata/identity-trust.ts";
import type { ValidationOptions } from "../../validation/validation-options.ts";
import { requestIdDefaults, type RequestIdOptions } from "../../metadata/request-id.ts";
import { defaultGrpcAddress } from "../default-address.ts";
import type { HeaderLimits } from "./grpc-request-check.ts";

/** The implementations of HTTP/2 that a gRPC server can use. */
export type GrpcEngine = "auto" | "own" | "grpc-js";

/** Options of a `GrpcServer`. */
export interface GrpcServerOptions
  extends DispatcherOptions, SessionLimitOptions, HeaderLimits, Http2Tuning, RequestIdOptions {
  /**
   * What carries the connections of the server's own port: `own` is the library's own HTTP/2 engine, which needs far less
   * processor time per call; `grpc-js` is `node:http2` with the options of grpc-js, and needs its package. `auto` is `own`, unless
   * `channelOptions` are set or `grpc.engine` was read before `start()`; the start line says so then. With `own` both
   * are errors. Default: `auto`.
   */
  readonly engine: GrpcEngine;
  /** Host name or address to bind, or `unix:` and the path of a socket. Default: 127.0.0.1. */
  readonly host: string;
  /** TCP port; 0 lets the system pick one. Default: 42001. */
  readonly port: number;
  /**
   * Whether the server binds a port of its own. Without one, it serves calls in process and on the port of an
   * `HttpServer` with this server as its option `grpc`. Default: true.
   */
  readonly listen: boolean;
  /** Serves TLS. Default: plain text. */
  readonly tls: ServerTlsOptions | undefined;
  /**
   * Trusted proxies: clients whose forwarded identity headers (`x-forwarded-client-cert`, `x-user-id`, `x-auth-*` and
   * the like) name the original caller, such as gateways in front of this server. Such headers of all other clients are
   * removed. Names are URIs and DNS names in trusted client certificates, each compared whole; `everybody` trusts all
   * clients, for networks that only trusted proxies can reach. Default: none.
   */
  readonly trustedPeers: TrustedPeers;
  /**
   * Decide on every call by its head, before its messages are read, in this order: calls on the server's own port, on
   * that of an `HttpServer`, and in this process. Default: none.
   */
  readonly gates: readonly Gate[];
  /**
   * The `Hub` of `ts-ms/hub` that knows the live connections of this server; several servers can have the same one. An
   * `HttpServer` that calls this server in process has it too. Default: none.
   */
  readonly hub: ConnectionBook | undefined;
  /**
   * Addresses and ranges of proxies, such as `10.0.0.0/8`, whose `X-Forwarded-For` or `Forwarded` says which client a
   * call comes from. Default: none, the client is the other end of the connection.
   */
  readonly trustedProxies: readonly string[];
  /**
   * Limits open connections, in all and by address; servers that are given the same one share it. Default: none, as many
   * as the system allows.
   */
  readonly connectionLimit: ConnectionLimit | undefined;
  /** Largest message to receive, in bytes after decompression. Default: 4 MiB. */
  readonly maxMessageBytes: number;
  /** Largest message to send, in bytes before compression; -1 for any. Default: 4 MiB. */
  readonly maxSendBytes: number;
  /** Sends replies in gzip to clients that accept it. Default: false. */
  readonly compressReplies: boolean;
  /** The smallest reply that is compressed, in bytes. Default: 1024. */
  readonly compressionThresholdBytes: number;
  /** Largest header list of a request, in bytes as HTTP/2 counts them. Default: 16 KiB. */
  readonly maxHeaderBytes: number;
  /** Most header fields of a request. Default: 100. */
  readonly maxHeaderFields: number;
  /**
   * Most calls at the same time on one connection: further ones wait in a queue. The connection announces twice as many
   * to its client; those beyond the announced number are refused. Default: 100.
   */
  readonly maxConcurrentStreams: number;
  /** Memory that one connection may hold, in bytes; further streams are refused. Default: 10,000,000. */
  readonly maxSessionMemoryBytes: number;
  /** Time for TLS handshake and HTTP/2 preface of a new connection, in milliseconds, each. Default: 10,000. */
  readonly handshakeTimeoutMs: number;
  /** Time between keepalive pings, which find dead clients, in milliseconds. Default: 60,000. */
  readonly keepaliveTimeMs: number;
  /**
   * How long the acknowledgement of such a ping may take before the connection is closed, in milliseconds. Default:
   * 20,000.
   */
  readonly keepaliveTimeoutMs: number;
  /**
   * Shortest time between two pings of a client while nothing is sent to it, in milliseconds; the third ping that comes
   * earlier closes the connection. Default: 300,000.
   */
  readonly minPingIntervalMs: number;
  /**
   * Whether a client without calls may send pings as often as one with calls; otherwise once in two hours (gRFC A8), and
   * earlier ones count as those of `minPingIntervalMs`. Default: true.
   */
  readonly pingsWithoutCalls: boolean;
  /** Age of a connection at which its client gets GOAWAY, in milliseconds (+/-10 %). Default: Infinity. */
  readonly maxConnectionAgeMs: number;
  /** Time for the calls of such a connection to end, in milliseconds. Default: Infinity. */
  readonly maxConnectionAgeGraceMs: number;
  /** Closes connections without calls after so many milliseconds. Default: Infinity. */
  readonly maxConnectionIdleMs: number;
  /** Serves `grpc.health.v1`. Default: true. */
  readonly health: boolean;
  /** Serves `grpc.reflection.v1` and `v1alpha`. Default: true. */
  readonly reflection: boolean;
  /**
   * Whether `interceptors` also apply to the server's own health and reflection. If not, balancers, `/readyz` of
   * gateways and tools need no credentials for them. Default: false.
   */
  readonly interceptHealthAndReflection: boolean;
  /**
   * Checks messages by the rules of their contract (`buf.validate`) before handlers get them: `{}` checks the requests of
   * every rpc that has rules. Needs the package `@bufbuild/protovalidate` where an rpc has any. Default: no checks.
   */
  readonly validation: Partial<ValidationOptions> | undefined;
  /** Further options of the grpc-js server, under its names; they take precedence. Default: none. */
  readonly channelOptions: Readonly<Record<string, string | number>>;
}

/** The defaults of `GrpcServerOptions`. */
export const grpcServerDefaults: GrpcServerOptions = Object.freeze({
  ...dispatcherDefaults,
  ...requestIdDefaults,
  ...http2TuningDefaults,
  ...defaultGrpcAddress,
  engine: "auto",
  listen: true,
  tls: undefined,
  trustedPeers: [],
  gates: [],
  hub: undefined,
  trustedProxies: [],
  connectionLimit: undefined,
  maxMessageBytes: 4 * 1024 * 1024,
  maxSendBytes: 4 * 1024 * 1024,
  compressReplies: false,
  compressionThresholdBytes: 1024,
  maxHeaderBytes: 16 * 1024,
  maxHeaderFields: 100,
  maxConcurrentStreams: 100,
  maxSessionMemoryBytes: 10_000_000,
  handshakeTimeoutMs: 10_000,
  keepaliveTimeMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  minPingIntervalMs: 300_000,
  pingsWithoutCalls: true,
  maxConnectionAgeMs: Infinity,
  maxConnectionAgeGraceMs: Infinity,
  maxConnectionIdleMs: Infinity,
  health: true,
  reflection: true,
  interceptHealthAndReflection: false,
  validation: undefined,
  channelOptions: Object.freeze({}),
});

/** The options of the grpc-js server: what it enforces for its own handlers. */
export function toEngineOptions(options: GrpcServerOptions): EngineOptions {
  const finite = Object.entries({
    "grpc.keepalive_time_ms": options.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs,
    "grpc.max_connection_age_ms": options.maxConnectionAgeMs,
    "grpc.max_connection_age_grace_ms": options.maxConnectionAgeGraceMs,
    "grpc.max_connection_idle_ms": options.maxConnectionIdleMs,
  }).filter(([, milliseconds]) => Number.isFinite(milliseconds));
  return {
    ...Object.fromEntries(finite),
    "grpc.enable_channelz": 0,
    "grpc.max_receive_message_length": options.maxMessageBytes,
    "grpc.max_send_message_length": options.maxSendBytes,
    "grpc.max_concurrent_streams": announcedStreams(options.maxConcurrentStreams),
    "grpc-node.max_session_memory": Math.max(1, options.maxSessionMemoryBytes / 1_000_000), // In megabytes.
    ...options.channelOptions,
  };
}

/**
 * The options with those of grpc-js in place of ours, where `channelOptions` have them: for connections of `node:http2`
 * and all calls on them.
 */
export function withChannelOptions(options: GrpcServerOptions): GrpcServerOptions & {
  readonly nodeWindowBytes: number | undefined;
  readonly announcedStreams: number;
} {
  const { channelOptions } = options;
  const number = (name: string, ours: number): number => {
    const value = channelOptions[name];
    return value === undefined ? ours : Number(value);
  };
  const window = channelOptions["grpc-node.flow_control_window"];
  return {
    ...options,
    nodeWindowBytes: window === undefined ? undefined : Number(window),
    announcedStreams: number("grpc.max_concurrent_streams", announcedStreams(options.maxConcurrentStreams)),
    keepaliveTimeMs: number("grpc.keepalive_time_ms", options.keepaliveTimeMs),
    keepaliveTimeoutMs: number("grpc.keepalive_timeout_ms", options.keepaliveTimeoutMs),
    maxConnectionAgeMs: number("grpc.max_connection_age_ms", options.maxConnectionAgeMs),
    maxConnectionAgeGraceMs: number("grpc.max_connection_age_grace_ms", options.maxConnectionAgeGraceMs),
    maxConnectionIdleMs: number("grpc.max_connection_idle_ms", options.maxConnectionIdleMs),
    maxMessageBytes: number("grpc.max_receive_message_length", options.maxMessageBytes),
    maxSendBytes: number("grpc.max_send_message_length", options.maxSendBytes),
    maxConcurrentStreams: number("grpc.max_concurrent_streams", options.maxConcurrentStreams),
    maxSessionMemoryBytes:
      number("grpc-node.max_session_memory", options.maxSessionMemoryBytes / 1_000_000) * 1_000_000,
  };
}
