import type { ConnectionLimit } from "../core/net/connection-limit.ts";
import type { Registry } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { jsonWriteDefaults, type JsonWriteOptions } from "../core/codec/message-to-json.ts";
import type { DialableServer, DialOptions } from "../core/dial.ts";
import type { Interceptor } from "../core/call/interceptors.ts";
import type { ConnectionBook } from "../core/admission/connection-book.ts";
import type { Gate } from "../core/admission/gate.ts";
import type { FaultLogOptions } from "../core/call/fault-log.ts";
import { type CallObserver, notify } from "../core/call/observer.ts";
import type { LoneProtocol } from "./doors/doors.ts";
import type { DoorOptions } from "./doors/door-kit.ts";
import type { StreamServer } from "../core/http2/session-limits.ts";
import type { ValidationOptions } from "../core/validation/validation-options.ts";
import {
  requestIdDefaults,
  requestIdHeader,
  RequestIds,
  type RequestIdOptions,
} from "../core/metadata/request-id.ts";
import type { ServerTlsOptions } from "../core/net/tls.ts";
import { bindDefaults, type BindOptions } from "./binding/bind-options.ts";
import type { EarlyDataPolicy } from "./connections/early-data.ts";
import type { Http3Door } from "./http3/http3-door.ts";
import type { AltSvcChoice } from "./http/alt-svc.ts";
import { browserDefaults, type BrowserOptions } from "./http/browsers/browser-options.ts";
import type { ErrorFormat } from "./http/error-body.ts";
import type { CommentSource } from "./faces/comment-files.ts";
import type { Face } from "./faces/face.ts";
import { http1Defaults, type Http1Options } from "./connections/http1-limits.ts";
import { longPollDefaults, type LongPollOptions } from "./doors/options/poll-options.ts";
import { formDefaults, type FormOptions } from "./doors/options/form-options.ts";
import { rawBodyDefaults, type RawBodyOptions } from "./doors/options/raw-options.ts";
import { http2Defaults, type Http2Limits } from "./connections/http2-limits.ts";
import type { RouterOptions } from "./routing/router.ts";
import { routerDefaults } from "./routing/router.ts";
import { badRuleDefaults, type BadRuleOptions } from "../core/http-rule/rule-refusals.ts";
import type { FileSource } from "./http/served-files.ts";
import type { HttpObserver } from "./http/http-observer.ts";
import type { RuleMode } from "../core/http-rule/rule-set.ts";
import type { RuleText } from "../core/http-rule/service-config.ts";
import { webSocketDefaults, type WebSocketOptions } from "./doors/options/websocket-options.ts";
import { streamDefaults, type StreamOptions } from "./doors/options/stream-options.ts";

/** Options of `HttpServer`, including those of limits, JSON and binding. */
export interface HttpServerOptions
  extends
    Http1Options,
    FaultLogOptions,
    RequestIdOptions,
    StreamOptions,
    WebSocketOptions,
    RawBodyOptions,
    FormOptions,
    LongPollOptions,
    BrowserOptions,
    Http2Limits,
    BadRuleOptions,
    Omit<JsonWriteOptions, "registry">,
    Omit<BindOptions, "registry" | "onIgnored">,
    Omit<RouterOptions, "reservedPaths"> {
  /** Host name or address to bind. Default: 127.0.0.1. */
  readonly host: string;
  /** TCP port; 0 lets the system pick one. Default: 8080. */
  readonly port: number;
  /** Serves TLS: HTTP/2 and HTTP/1.1 by ALPN. Default: plain text, both by the first bytes. */
  readonly tls: ServerTlsOptions | undefined;
  /**
   * Serves gRPC on this port too: a `GrpcServer` that need not listen itself (its option `listen`). Start and stop it
   * separately: before its `start()` its calls are UNAVAILABLE. Stop it after this server, which does not end gRPC
   * calls. Default: none.
   */
  readonly grpc: StreamServer | undefined;
  /**
   * Which engine serves HTTP/2: `node` is `node:http2`; `own` is one of this package, which takes servers only whose
   * requests all pass Fastify by (no hooks, plugins or routes of your own); `auto` is `own` where it can serve, else
   * `node`. The start line says why `node` serves. Default: `auto`.
   */
  readonly engine: "auto" | "own" | "node";
  /** The upstream: a `GrpcServer` of this process, a target such as `"users:42001"`, or a transport. */
  readonly upstream: DialableServer | string | Transport;
  /** How a `GrpcServer` is called: without a socket, or through its port. Default: `in-process`. */
  readonly dial: "in-process" | "network";
  /** Options of the connection to a target or, with `dial: "network"`, to a server. Default: none. */
  readonly dialOptions: Partial<Omit<DialOptions, "interceptors" | "network">>;
  /**
   * For calls over the network: `bytes` converts JSON to protobuf and back without making messages, unless a feature
   * needs them; `messages` always makes them. Clients see no difference but the order of JSON members. Default:
   * `bytes`.
   */
  readonly transcoding: "bytes" | "messages";
  /**
   * Interceptors around every call, before the hop, the outermost first. Mark interceptors that read no message by
   * `metadataOnly`: with any other, every call is decoded to messages. Default: none.
   */
  readonly interceptors: readonly Interceptor[];
  /**
   * Decide on every call by its head, before its body is read, in this order; a call of gRPC that goes to the option
   * `grpc` is decided on by that server's own. A `GrpcServer` called in process does not ask a gate of its own again
   * that has admitted the call here. Default: none.
   */
  readonly gates: readonly Gate[];
  /**
   * The `Hub` of `ts-ms/hub` that knows the live connections of this server; several servers can have the same one.
   * Default: that of a `GrpcServer` that is called in process, else none.
   */
  readonly hub: ConnectionBook | undefined;
  /**
   * Addresses and ranges of proxies, such as `10.0.0.0/8`, whose `X-Forwarded-For` or `Forwarded` says which client a
   * call comes from. Default: none, the client is the other end of the connection.
   */
  readonly trustedProxies: readonly string[];
  /**
   * Says on every answer, by the header `Alt-Svc`, that HTTP/3 is served at this port, such as by a proxy in front; `clear`
   * while the server drains. A proxy that sends a header of its own needs none of ours. Default: with `http3` its port,
   * over TLS; else none.
   */
  readonly altSvc: AltSvcChoice | undefined;
  /**
   * Serves HTTP/3 in this process too: `http3()` of `ts-ms/http3`. Experimental; needs `tls` and the package
   * `@currentspace/http3`. Default: none.
   */
  readonly http3: Http3Door | undefined;
  /**
   * What happens to requests of which a trusted proxy says `Early-Data: 1` (RFC 8470): `refuse` answers 425, `safe` serves
   * GET, HEAD and OPTIONS of rpcs with `NO_SIDE_EFFECTS`. Default: `refuse`.
   */
  readonly earlyData: EarlyDataPolicy;
  /**
   * Limits open connections, in all and by address; servers that are given the same one share it. Default: none, as many
   * as the system allows.
   */
  readonly connectionLimit: ConnectionLimit | undefined;
  /**
   * Observers of every call that this server makes. If there are any, a `GrpcServer` called in process does not call
   * its own observers for these calls. Default: none.
   */
  readonly observers: readonly CallObserver[];
  /** Observers of every HTTP request. Default: none. */
  readonly httpObservers: readonly HttpObserver[];
  /**
   * Types that `google.protobuf.Any` and error details may contain, and extensions. Those of `google.protobuf`,
   * `google.rpc` and `google.api.HttpBody` are always known. Default: no others.
   */
  readonly registry: Registry | undefined;
  /**
   * Checks messages by the rules of their contract (`buf.validate`) before the hop: `{}` checks the requests of every rpc
   * that has rules, all others stay as fast as they are. Needs the package `@bufbuild/protovalidate` where an rpc has any. Default: no checks.
   */
  readonly validation: Partial<ValidationOptions> | undefined;
  /**
   * Documents about the rpcs and further ways to call them, such as `openapi()` of `ts-ms/openapi`. Default: none.
   */
  readonly faces: readonly Face[];
  /**
   * Where the comments of the contract are, which generated code does not have: a binary descriptor set with source
   * information, as `buf build -o contract.binpb` writes it, or the path or the URL of a file with one. It is read when a
   * face first needs it. Default: none.
   */
  readonly comments: CommentSource | readonly CommentSource[];
  /** Rules outside the proto; one with only a selector removes the bindings of its rpcs. Default: none. */
  readonly rules: readonly RuleText[];
  /** Whether such rules replace the annotations of the rpcs they select or are added to them. Default: `replace`. */
  readonly ruleMode: RuleMode;
  /** Whether a body without a JSON or protobuf content type is 415 (`strict`) or read as JSON. Default: `strict`. */
  readonly contentType: "strict" | "lenient";
  /** How error bodies look. Default: `status`, `google.rpc.Status` as JSON. */
  readonly errorFormat: ErrorFormat;
  /** `WWW-Authenticate` of 401 replies whose error brings none. Default: `Bearer`. */
  readonly challenge: string;
  /** Further request headers that become metadata. Default: none. */
  readonly forwardHeaders: readonly string[];
  /** Metadata of replies that never becomes an HTTP header. Default: none. */
  readonly dropResponseHeaders: readonly string[];
  /**
   * Compatibility with responses of another gateway: the `Grpc-Metadata-` prefix of headers, both ways, and streams of
   * lines `{"result":message}` as `application/json`. Default: undefined.
   */
  readonly compat: "grpc-gateway" | undefined;
  /** Whether `/healthz`, `/livez` and `/readyz` are served. Default: true. */
  readonly healthPaths: boolean;
  /** How long the upstream may take to answer a health check, in milliseconds. Default: 2,000. */
  readonly healthTimeoutMs: number;
  /**
   * The one protocol that is served, beside health: WebSockets, or streams of events (`text/event-stream`) of the routes;
   * anything else is 404. Default: all.
   */
  readonly only: LoneProtocol | undefined;
  /** Files that are served where no rpc is, as `openPages` of `ts-ms/pages` makes them. Default: none. */
  readonly pages: FileSource | undefined;
  /** Whether services come later, by `replaceServices`: until then routes answer 503. Default: false. */
  readonly awaitServices: boolean;
  /** How long the body of a unary call may take, in milliseconds: 408 beyond. Default: 30,000. */
  readonly bodyTimeoutMs: number;
  /** Timeout of a unary call whose client sets none, in milliseconds; 0 for none. Default: 30,000. */
  readonly defaultTimeoutMs: number;
  /** The longest timeout that a client may set, in milliseconds; 0 for any. Default: 300,000. */
  readonly maxTimeoutMs: number;
}

/** The paths that this server serves itself are no option of it. */
const { reservedPaths: _, ...routingDefaults } = routerDefaults;

/** The defaults of `HttpServerOptions`; only `upstream` has none. */
export const httpServerDefaults: Required<Omit<HttpServerOptions, "upstream">> = Object.freeze({
  ...http1Defaults,
  ...streamDefaults,
  ...webSocketDefaults,
  ...rawBodyDefaults,
  ...formDefaults,
  ...longPollDefaults,
  ...browserDefaults,
  ...http2Defaults,
  ...bindDefaults,
  ...routingDefaults,
  ...badRuleDefaults,
  ...requestIdDefaults,
  host: "127.0.0.1",
  port: 8080,
  tls: undefined,
  grpc: undefined,
  engine: "auto",
  dial: "in-process",
  dialOptions: {},
  transcoding: "bytes",
  interceptors: [],
  gates: [],
  hub: undefined,
  trustedProxies: [],
  altSvc: undefined,
  http3: undefined,
  earlyData: "refuse",
  connectionLimit: undefined,
  observers: [],
  httpObservers: [],
  logger: undefined,
  validation: undefined,
  registry: undefined,
  faces: [],
  comments: [],
  rules: [],
  ruleMode: "replace",
  fieldNames: "json",
  enums: "name",
  defaults: "emit",
  int64: "string",
  indent: 0,
  contentType: "strict",
  errorFormat: "status",
  challenge: "Bearer",
  forwardHeaders: [],
  dropResponseHeaders: [],
  compat: undefined,
  allowedHosts: undefined,
  fastLane: true,
  healthPaths: true,
  healthTimeoutMs: 2000,
  only: undefined,
  pages: undefined,
  awaitServices: false,
  bodyTimeoutMs: 30_000,
  defaultTimeoutMs: 30_000,
  maxTimeoutMs: 300_000,
});

/** The options that doors read, in the groups in which they read them. */
export function doorOptions(options: HttpServerOptions): DoorOptions {
  const { compat, transcoding, contentType, httpObservers } = options;
  return {
    limits: {
      defaultTimeoutMs: options.defaultTimeoutMs,
      maxTimeoutMs: options.maxTimeoutMs,
      maxBodyBytes: options.maxBodyBytes,
      bodyTimeoutMs: options.bodyTimeoutMs,
      connectionsCheckingIntervalMs: options.connectionsCheckingIntervalMs,
    },
    json: group(options, jsonWriteDefaults),
    binding: group(options, bindDefaults),
    metadata: {
      forwardHeaders: options.forwardHeaders,
      dropResponseHeaders: droppedHeaders(options),
    },
    streams: group(options, streamDefaults),
    files: group(options, rawBodyDefaults),
    forms: group(options, formDefaults),
    polling: group(options, longPollDefaults),
    sockets: group(options, webSocketDefaults),
    requestIds: options.requestId === undefined ? undefined : new RequestIds(options.requestId),
    health: { healthPaths: options.healthPaths, healthTimeoutMs: options.healthTimeoutMs },
    transcoding,
    lenientContentType: contentType === "lenient",
    compat,
    onIgnored: reportIgnored(httpObservers),
  };
}

/** Metadata of replies that becomes no header. That of an upstream with its id of the request: the gateway has its own. */
function droppedHeaders({ dropResponseHeaders, requestId }: HttpServerOptions): readonly string[] {
  return requestId === undefined ? dropResponseHeaders : [...dropResponseHeaders, requestIdHeader];
}

/** The options that `defaults` names. */
function group<T extends object>(options: HttpServerOptions & T, defaults: T): T {
  const names = Object.keys(defaults) as (keyof T)[]; // The defaults have no other members than T.
  const found: Partial<T> = {};
  for (const name of names) found[name] = options[name];
  return found as T; // Every member of the defaults is an option.
}

function reportIgnored(observers: readonly HttpObserver[]): DoorOptions["onIgnored"] {
  if (observers.length === 0) return undefined;
  return (route, place, name) => {
    const kind = place === "body" ? "field" : "query";
    notify(observers, (observer) => observer.ignoredUnknown?.(route, kind, 1, name));
  };
}
