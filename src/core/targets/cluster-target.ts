import type { DescMethod } from "@bufbuild/protobuf";
import type { PoolOptions } from "../cluster/connection-pool.ts";
import { show } from "../config/check-options.ts";
import type { DnsOptions } from "../discovery/host-lookup.ts";
import type { Endpoint, Resolver } from "../discovery/resolver.ts";
import type { RoutedResolver } from "../discovery/routed-resolver.ts";
import { SetupError } from "../errors/setup-error.ts";
import { mergeConnectionOptions, type ConnectionOptions } from "../http2/connection-options.ts";
import { clientTls } from "../net/client-tls.ts";
import { parseTarget } from "../net/target.ts";
import { checkChoice, choiceDefaults, givesChoice, type ChoiceOptions } from "./choice-options.ts";
import { connectionOf, healthOf, type EndpointProtocol } from "./endpoint-protocol.ts";
import { LazyCluster, type LoadedCluster } from "./lazy-cluster.ts";
import { checkGroup, wrongOption, type Allowed } from "./option-groups.ts";
import { programDefaults } from "./program-defaults.ts";
import { givesPolicies, policyDialDefaults, type PolicyDialOptions } from "./policy-options.ts";
import { withServiceConfig } from "./service-config-options.ts";
import { checkDnsServers, compileTarget, isTextTarget, type CompiledTarget } from "./text-target.ts";

/** A target whose endpoints are known, or are found by a resolver: a list, a text with a scheme, or a resolver. */
export type ClusterTarget = readonly (string | Endpoint)[] | string | Resolver;

/** Options of `dial` for targets with several endpoints. */
export interface ClusterDialOptions extends ChoiceOptions, PolicyDialOptions {
  /**
   * Name of the target: label of its metrics, and first word of its errors. Default: the service as the target or the
   * resolver names it, such as `users` of `consul:///users`; `list` for a list.
   */
  readonly name: string | undefined;
  /**
   * What endpoints speak: `rest` calls them by HTTP/1.1 and JSON, as the `google.api.http` rules of the rpcs say. Default:
   * `grpc`.
   */
  readonly protocol: EndpointProtocol;
  /** Connections to each endpoint. Default: see `PoolOptions`. */
  readonly connections: Partial<PoolOptions>;
  /**
   * How long the last endpoints are called after a resolver has found that there are none any more, in milliseconds.
   * Default: 30,000.
   */
  readonly staleMs: number;
  /** DNS servers of targets `dns:` and `srv:`. Default: those of the system. */
  readonly dns: DnsOptions;
}

/** The defaults of `ClusterDialOptions`. */
export const clusterDialDefaults: ClusterDialOptions = Object.freeze({
  ...choiceDefaults,
  ...policyDialDefaults,
  name: undefined,
  protocol: "grpc",
  connections: Object.freeze({}),
  staleMs: 30_000,
  dns: Object.freeze({}),
});

const poolRules: Readonly<Record<keyof PoolOptions, Allowed>> = {
  max: { least: 1, whole: true },
  maxAgeMs: { least: 0 },
  idleTimeoutMs: { least: 1 },
  atOnce: { least: 1, whole: true },
};

/** The options of connections and clusters together. */
type Options = Partial<ConnectionOptions & ClusterDialOptions>;

/** Whether options ask for a cluster even where the target is one server. */
export function wantsCluster(options: Partial<ClusterDialOptions>): boolean {
  return (
    programDefaults()?.retriesOneServer === true ||
    options.name !== undefined ||
    options.protocol === "rest" ||
    options.connections !== undefined ||
    givesChoice(options) ||
    givesPolicies(options)
  );
}

/** Whether a target is a list, a text with a scheme, or a resolver. */
export function isClusterTarget(target: unknown): target is ClusterTarget {
  if (typeof target === "string") return isTextTarget(target);
  if (Array.isArray(target)) return true;
  return typeof target === "object" && target !== null && typeof (target as Resolver).watch === "function";
}

/** What a target says of its endpoints, and how they are found. */
type Source = Omit<CompiledTarget, "name"> & { readonly name: string | undefined };

/**
 * Where calls to a cluster get their streams. The modules of clusters are loaded by the first call, or by `ready()`;
 * what is wrong is thrown here.
 *
 * @throws SetupError naming the option, what is no endpoint, or what is wrong with the text of the target
 */
export function dialCluster(target: ClusterTarget, given: Options): LazyCluster {
  const [options, { between, retryTokens }] = withServiceConfig(given, given.serviceConfig);
  const { name, connections = {}, dns = {}, staleMs = clusterDialDefaults.staleMs } = options;
  if (name !== undefined && (typeof name !== "string" || name === "")) {
    throw new SetupError(`dial: the option name must be a text, not ${show(name)}`);
  }
  const { slowStart, health, outlier, ...choice } = checkChoice(options);
  const { protocol = clusterDialDefaults.protocol } = options;
  const checked = healthOf(protocol, health);
  checkGroup("connections", connections, poolRules);
  const { policies, contractPolicies, retryBudget, clientObservers } = { ...policyDialDefaults, ...options };
  if (!(staleMs >= 0)) throw wrongOption("staleMs", "0 or more", staleMs);
  checkDns(dns);
  const retry = programDefaults()?.retry;
  const source = sourceOf(target);
  const authority = options.authority ?? source.authority;
  const tls = checkTls(options, source, authority);
  if (tls !== false) clientTls(tls === true ? {} : tls); // What cannot be used throws here, not at the first call.
  const early = mergeConnectionOptions({ ...options, authority, tls });
  const methods = new Map<string, DescMethod>();
  const load = async (): Promise<LoadedCluster> => {
    const [parts, checks, resolver] = await Promise.all([
      import("./cluster-parts.ts"),
      checked === undefined ? undefined : import("../health-checks/health-checks.ts"),
      source.load({ dns }),
    ]);
    const { Cluster, poolDefaults, outlierDefaults, slowStartDefaults, healthDefaults } = parts;
    const label = name ?? source.name ?? resolver.authority ?? resolver.name;
    // Some resolvers learn their names only from where they run.
    const late = { authority: resolver.authority, tls: withName(early.tls, resolver.authority) };
    const named = authority === undefined && !source.isFixed ? { ...early, ...late } : early;
    const connection = await connectionOf(protocol, named, methods);
    const common = {
      ...choice,
      name: label,
      resolver,
      isFixed: source.isFixed,
      staleMs,
      pool: { ...poolDefaults, ...connections },
      connection,
      maxQueuedCalls: early.http2.maxQueuedCalls,
      books: parts.clientCounts,
      observers: clientObservers,
      slowStart: { ...slowStartDefaults, ...slowStart },
      health: checks?.healthChecks({ ...healthDefaults, ...checked }, { name: label, connection }),
      outlier: outlier === undefined ? undefined : { ...outlierDefaults, ...outlier },
      retryTokens,
      retryBudget: { ...parts.retryBudgetDefaults, ...retryBudget },
    };
    const plans = { policies, contractPolicies, ...(retry && { retry }), ...(between && { between }) };
    if ("watchRoutes" in resolver) {
      const { routedCluster } = await import("./routed-target.ts");
      return routedCluster(resolver as RoutedResolver, { ...common, plans }, options); // As it has the method.
    }
    const cluster = new Cluster({ ...common, plans: new parts.Plans(plans) });
    return { cluster, stats: () => parts.clusterStats(cluster) };
  };
  const know = (method: DescMethod): void => {
    methods.set(`/${method.parent.typeName}/${method.name}`, method);
  };
  return new LazyCluster(early, load, protocol === "grpc" ? undefined : know);
}

function sourceOf(target: ClusterTarget): Source {
  if (typeof target === "string") return compileTarget(target);
  if ("watch" in target) {
    const { authority, namesCertificates = true } = target;
    return { name: undefined, authority, namesCertificates, isFixed: false, load: async () => target };
  }
  const list = target.map(checkEndpoint);
  if (list.length === 0) throw new SetupError("dial: a list of endpoints must have one at least");
  return {
    name: "list",
    authority: undefined,
    namesCertificates: false,
    isFixed: true,
    load: async () => (await import("./cluster-parts.ts")).staticResolver(list),
  };
}

function checkDns(dns: unknown): void {
  const { servers = [], ...others } = (dns ?? {}) as Partial<DnsOptions>; // Checked below.
  const [unknown] = Object.keys(others);
  if (typeof dns !== "object" || unknown !== undefined || !Array.isArray(servers)) {
    throw new SetupError(`dial: the option dns must be { servers: ["ip:port"] }, not ${show(dns)}`);
  }
  checkDnsServers(
    servers,
    (server) =>
      new SetupError(`dial: the option dns.servers has addresses, "ip" or "ip:port", not ${show(server)}`),
  );
}

function checkEndpoint(entry: unknown): Endpoint {
  const endpoint = (typeof entry === "string" ? { address: entry } : entry) as
    | Partial<Endpoint>
    | null
    | undefined;
  const address: unknown = endpoint?.address;
  if (typeof address !== "string") {
    throw new SetupError(
      `dial: an endpoint is an address such as "10.0.0.1:42001", or has one: not ${show(entry)}`,
    );
  }
  parseTarget(address); // A malformed address throws here, not at the first call.
  const weight: unknown = endpoint?.weight;
  if (weight !== undefined && !(typeof weight === "number" && weight >= 0 && weight < Infinity)) {
    throw new SetupError(`dial: the weight of ${address} must be a number from 0, not ${show(weight)}`);
  }
  return { ...endpoint, address };
}

/** Certificates are verified against the name of the service, which lists and services of Consul do not have. */
function checkTls(
  { tls = false }: Options,
  { namesCertificates }: Source,
  authority: string | undefined,
): ConnectionOptions["tls"] {
  if (tls === false || (tls !== true && tls.serverName !== undefined)) return tls;
  if (!namesCertificates) {
    throw new SetupError(
      "dial: tls for several endpoints needs tls.serverName, the name in the certificates of all of them",
    );
  }
  return withName(tls, authority);
}

function withName(tls: ConnectionOptions["tls"], authority: string | undefined): ConnectionOptions["tls"] {
  if (tls === false || authority === undefined || (tls !== true && tls.serverName !== undefined)) return tls;
  const serverName = authority.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return { ...(tls === true ? {} : tls), serverName };
}
