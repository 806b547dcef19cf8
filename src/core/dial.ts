import type { DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { ConnectionBook } from "./admission/connection-book.ts";
import type { Ambient } from "./call/ambient.ts";
import { interceptInvoker, type Invoker } from "./call/invoker.ts";
import { type InvokerSource, isInvokerSource, makeInvoker } from "./call/invoker-source.ts";
import {
  clusterDialDefaults,
  dialCluster,
  isClusterTarget,
  wantsCluster,
  type ClusterDialOptions,
  type ClusterTarget,
} from "./targets/cluster-target.ts";
import type { PlanLine } from "./policy/plan.ts";
import { DialledServer } from "./targets/dialled-server.ts";
import { checkPolicyOptions } from "./targets/policy-options.ts";
import { programDefaults } from "./targets/program-defaults.ts";
import { checkProtocol } from "./targets/endpoint-protocol.ts";
import type { DialStats } from "./targets/dial-stats.ts";
import type { LazyCluster } from "./targets/lazy-cluster.ts";
import type { Endpoint } from "./discovery/resolver.ts";
import { checkOptions, show } from "./config/check-options.ts";
import { messageCheck } from "./codec/message-check.ts";
import type { Dispatcher } from "./call/dispatcher.ts";
import { Code, ConnectError } from "./errors/errors.ts";
import { http2Invoker } from "./grpc/client/http2-invoker.ts";
import { checkHttp2Options } from "./http2/client-http2-options.ts";
import { connectionDefaults, connectionEngines, type ConnectionOptions } from "./http2/connection-options.ts";
import { Connection, type ConnectionState } from "./http2/http2-connection.ts";
import type { ClientTls } from "./net/client-tls.ts";
import { parseTarget } from "./net/target.ts";
import { inProcess } from "./call/in-process.ts";
import { toTransport, transportDefaults, type TransportOptions } from "./call/transport.ts";
import type { Interceptor } from "./call/interceptors.ts";
import { SetupError } from "./errors/setup-error.ts";
import { formatAddress, type ListenAddress } from "./net/listener.ts";

/** What `dial` needs of a `GrpcServer`. */
export interface DialableServer {
  readonly dispatcher: Dispatcher;
  /** The address of the server; undefined before it listens. */
  readonly address: ListenAddress | undefined;
  /** The hub that knows the live connections of the server; undefined for none. */
  readonly hub?: ConnectionBook | undefined;
}

/**
 * What `dial` calls: a `GrpcServer` of this process, a server by its address, or several servers: a list of addresses
 * or endpoints, the name of a service such as `consul:///users`, or a resolver, which finds them.
 */
export type DialTarget = DialableServer | ClusterTarget;

/** Options of `dial`. Those of connections have no effect on a server that is called in process. */
export interface DialOptions extends ConnectionOptions, TransportOptions, ClusterDialOptions {
  /** Client interceptors around every call, the outermost first. Default: none. */
  readonly interceptors: readonly Interceptor[];
  /** Whether a `GrpcServer` is called through its socket instead of in process. Default: false. */
  readonly network: boolean;
  /**
   * With `ambient` of `ts-ms/ambient`, a call inside of a handler is part of the call that the handler serves: its
   * deadline, cancellation and headers. The handler's server needs the same option. Default: none.
   */
  readonly ambient: Ambient | undefined;
}

/** Options of `dial` to what makes its invoker itself: a broker, a transaction. It has options of its own beside them. */
export type SourceDialOptions = Pick<DialOptions, "interceptors" | "ambient" | "defaultTimeoutMs">;

/** The defaults of `DialOptions`. */
export const dialDefaults: DialOptions = Object.freeze({
  ...connectionDefaults,
  ...transportDefaults,
  ...clusterDialDefaults,
  interceptors: [],
  network: false,
  ambient: undefined,
});

/** The connections that `dial` makes, besides its calls. */
export interface Dialed extends AsyncDisposable {
  /**
   * The state of the connection; in process always `ready`. With several endpoints it is `ready` if one of them is, and
   * `transient-failure` if none can be reached. Reading it starts no attempt to connect.
   */
  readonly state: ConnectionState;
  /** The servers as they are known now; none in process, or before a list or resolver is in use. */
  readonly endpoints: readonly Endpoint[];
  /**
   * Connects and resolves as soon as calls can be made; in process at once.
   *
   * @throws ConnectError UNAVAILABLE if `signal` fires before, or the connection is closed.
   */
  ready(signal?: AbortSignal): Promise<void>;
  /** Figures of now. */
  stats(): DialStats;
  /**
   * How the rpcs of a service are called: each value of their policies with where it comes from. None in process, before
   * the first call or `ready()`, and for one server that is called without policies.
   *
   * @throws SetupError naming the policy of the service that cannot be used
   */
  policies(service: DescService): readonly PlanLine[];
  /**
   * Calls `fn` at every change of `state`, of `endpoints` or of the state of one of them; in process never.
   *
   * @returns a function that ends that
   */
  onChange(fn: () => void): () => void;
  /** Closes the connection: calls in flight are completed, new ones are UNAVAILABLE. Idempotent. */
  close(): void;
  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A transport with the connections below it. */
export interface DialedTransport extends Transport, Dialed {}

/** An invoker with the connections below it. */
export interface DialedInvoker extends Invoker, Dialed {}

/**
 * Makes a transport to a broker or into a transaction: unary rpcs with `(ts_ms.v1.consume)` are sent as commands, or
 * called.
 *
 * @throws TypeError if an option is invalid
 */
export function dial<O extends object>(
  source: InvokerSource<O>,
  options?: Partial<O & SourceDialOptions>,
): DialedTransport;
/**
 * Makes a transport to a server: `createClient(Descriptor, dial(target))` is a typed client.
 *
 * With a list, a service or a resolver, each call goes to one of the endpoints, see `DialOptions.balance`.
 *
 * @param target A `GrpcServer` of this process, `"host:port"` or `"unix:/path"`, a list of such addresses or of
 *   endpoints, a service by `"dns:///host:port"`, `"srv:///name"` or `"consul:///service"`, or a resolver.
 * @throws TypeError if the target, an option or the certificates are invalid. A server that is not running is no error: calls are
 *   UNAVAILABLE until it runs.
 */
// The last one, since that is what `Parameters<typeof dial>` of a user's program has.
export function dial(target: DialTarget, options?: Partial<DialOptions>): DialedTransport;
export function dial(
  target: DialTarget | InvokerSource,
  options: Partial<DialOptions> = {},
): DialedTransport {
  // First, since it checks the arguments.
  const invoker = isInvokerSource(target) ? overSource(target, options) : dialInvoker(target, options);
  const transport = toTransport(invoker, {
    defaultTimeoutMs:
      options.defaultTimeoutMs ?? programDefaults()?.timeoutMs ?? dialDefaults.defaultTimeoutMs,
  });
  return withConnection(transport, invoker);
}

/** As `dial`, for the library itself: an `Invoker`, on which `defaultTimeoutMs` has no effect. */
export function dialInvoker(target: DialTarget, options: Partial<DialOptions> = {}): DialedInvoker {
  const several = isClusterTarget(target);
  if (
    !several &&
    typeof target !== "string" &&
    (target as DialableServer | undefined)?.dispatcher === undefined
  ) {
    throw new SetupError(
      `dial takes a GrpcServer of this process, a target such as "users:42001", a list of such targets or a resolver, not ${show(target)}`,
    );
  }
  checkOptions<DialOptions>("dial", options, dialDefaults);
  const { engine } = options;
  if (engine !== undefined && !connectionEngines.includes(engine)) {
    const names = connectionEngines.map((name) => `"${name}"`).join(" or ");
    throw new SetupError(`dial: the option engine must be ${names}, not ${show(engine)}`);
  }
  checkProtocol(options);
  checkPolicyOptions(options);
  checkHttp2Options("dial", options.keepalive ?? {}, options.http2 ?? {});
  const { network = dialDefaults.network } = options;
  const around = callersPart(options);
  if (several) return overCluster(dialCluster(target, options), around);
  if (typeof target !== "string" && !network) {
    return withConnection(around(inProcess(target.dispatcher, messageCheck)), always);
  }
  if (typeof target !== "string" && options.protocol === "rest") {
    throw new SetupError('dial: a GrpcServer speaks gRPC: the option protocol "rest" is for servers of HTTP');
  }
  if (typeof target === "string") parseTarget(target); // A malformed target throws here, not at the first call.
  if (typeof target === "string" && wantsCluster(options)) {
    return overCluster(oneServer(target, options), around);
  }
  const connection = new Connection(() => (typeof target === "string" ? target : nameOf(target)), options);
  if (typeof target === "string" && options.contractPolicies !== false) {
    const server = new DialledServer(connection, () => oneServer(target, options));
    return overServer(server, target, around);
  }
  const address = (): string => {
    if (typeof target === "string") return target;
    return target.address === undefined ? "" : nameOf(target);
  };
  return withConnection(around(http2Invoker(connection)), {
    get state() {
      return connection.state;
    },
    get endpoints() {
      return [{ address: address() }];
    },
    ready: (signal) => connection.ready(signal),
    stats: () => ({
      endpoints: [{ address: address(), state: connection.state, http2: connection.stats }],
    }),
    policies: () => [],
    onChange: (fn) => connection.onChange(fn),
    close: () => connection.close(),
  });
}

/** What stands around the calls of any target. */
function callersPart({
  interceptors = dialDefaults.interceptors,
  ambient,
}: Partial<SourceDialOptions>): (inner: Invoker) => Invoker {
  const intercept = (inner: Invoker): Invoker => interceptInvoker(inner, interceptors);
  return (inner) => ambient?.around(inner, intercept) ?? intercept(inner);
}

function overSource(source: InvokerSource, options: Partial<SourceDialOptions>): DialedInvoker {
  const { interceptors: _around, ambient: _ambient, defaultTimeoutMs: _timeout, ...own } = options;
  const made = source[makeInvoker](own);
  return withConnection(callersPart(options)(made.invoker), {
    ...always,
    get state() {
      return made.isReady() ? "ready" : "connecting";
    },
    async ready(signal) {
      let end = (): void => {};
      const ended = new Promise<never>((_, reject) => {
        end = () => reject(new ConnectError("the wait for the broker has ended", Code.Unavailable));
      });
      if (signal?.aborted === true) end();
      signal?.addEventListener("abort", end, { once: true });
      try {
        await Promise.race([ended, made.ready()]);
      } finally {
        signal?.removeEventListener("abort", end);
      }
    },
  });
}

/** One server as a list of one. */
function oneServer(target: string, options: Partial<DialOptions>): LazyCluster {
  const { host, authority } = parseTarget(target);
  const tls = options.tls === undefined || options.tls === false ? false : named(options.tls, host);
  return dialCluster([target], { authority, ...options, tls });
}

/** TLS for the name of one server. */
function named(tls: true | ClientTls, serverName: string): ClientTls {
  return { serverName, ...(tls === true ? {} : tls) };
}

function overCluster(cluster: LazyCluster, around: (inner: Invoker) => Invoker): DialedInvoker {
  return withConnection(around(http2Invoker(cluster)), {
    get state() {
      return cluster.state;
    },
    get endpoints() {
      return cluster.loaded?.members.map(({ known }) => known) ?? [];
    },
    ready: (signal) => cluster.ready(signal),
    policies: (service) => cluster.loaded?.policies.lines(service) ?? [],
    stats: () => cluster.stats(),
    onChange: (fn) => cluster.onChange(fn),
    close: () => cluster.close(),
  });
}

function overServer(
  server: DialledServer,
  address: string,
  around: (inner: Invoker) => Invoker,
): DialedInvoker {
  const { connection } = server;
  return withConnection(around(http2Invoker(server)), {
    get state() {
      return server.state;
    },
    get endpoints() {
      return [{ address }];
    },
    ready: (signal) => server.ready(signal),
    stats: () =>
      server.cluster === undefined
        ? { endpoints: [{ address, state: connection.state, http2: connection.stats }] }
        : server.cluster.stats(),
    policies: (service) => server.cluster?.loaded?.policies.lines(service) ?? [],
    onChange: (fn) => server.onChange(fn),
    close: () => server.close(),
  });
}

/** The connection below the calls, or a substitute for calls in process. */
type Below = Omit<Dialed, typeof Symbol.asyncDispose>;

/** The substitute: a server of this process can always be called. */
const always: Below = Object.freeze({
  state: "ready",
  endpoints: Object.freeze([]),
  ready: () => Promise.resolve(),
  stats: () => ({ endpoints: [] }),
  policies: () => [],
  onChange: () => () => {},
  close() {},
});

function withConnection<T extends object>(calls: T, connection: Below): T & Dialed {
  return Object.defineProperties(calls, {
    state: { get: () => connection.state, enumerable: true },
    endpoints: { get: () => connection.endpoints, enumerable: true },
    ready: { value: (signal?: AbortSignal) => connection.ready(signal), enumerable: true },
    stats: { value: () => connection.stats(), enumerable: true },
    policies: { value: (service: DescService) => connection.policies(service), enumerable: true },
    onChange: { value: (fn: () => void) => connection.onChange(fn), enumerable: true },
    close: { value: () => connection.close(), enumerable: true },
    [Symbol.asyncDispose]: { value: async () => connection.close() },
  }) as T & Dialed; // defineProperties has no type for what it adds.
}

function nameOf(server: DialableServer): string {
  const { address } = server;
  if (address === undefined) throw new ConnectError("the server does not listen yet", Code.Unavailable);
  const anywhere = address.host === "0.0.0.0" || address.host === "::";
  return formatAddress(anywhere ? { host: "localhost", port: address.port } : address);
}
