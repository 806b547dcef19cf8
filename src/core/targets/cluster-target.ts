import type { PoolOptions } from "../cluster/connection-pool.ts";
import { show } from "../config/check-options.ts";
import type { Endpoint, Resolver } from "../discovery/resolver.ts";
import { SetupError } from "../errors/setup-error.ts";
import { mergeConnectionOptions, type ConnectionOptions } from "../http2/connection-options.ts";
import { parseTarget } from "../net/target.ts";
import { checkChoice, choiceDefaults, givesChoice, type ChoiceOptions } from "./choice-options.ts";
import { LazyCluster } from "./lazy-cluster.ts";
import { checkGroup, type Allowed } from "./option-groups.ts";

/** A target whose endpoints are known, or are found by a resolver. */
export type ClusterTarget = readonly (string | Endpoint)[] | Resolver;

/** Options of `dial` for targets with several endpoints. */
export interface ClusterDialOptions extends ChoiceOptions {
  /**
   * Name of the target: label of its metrics, and first word of its errors. Default: what the resolver calls the
   * service, or its own name; `list` for a list.
   */
  readonly name: string | undefined;
  /** Connections to each endpoint. Default: see `PoolOptions`. */
  readonly connections: Partial<PoolOptions>;
}

/** The defaults of `ClusterDialOptions`. */
export const clusterDialDefaults: ClusterDialOptions = Object.freeze({
  ...choiceDefaults,
  name: undefined,
  connections: Object.freeze({}),
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
  return options.name !== undefined || options.connections !== undefined || givesChoice(options);
}

/** Whether a target is a list or a resolver. */
export function isClusterTarget(target: unknown): target is ClusterTarget {
  if (Array.isArray(target)) return true;
  return typeof target === "object" && target !== null && typeof (target as Resolver).watch === "function";
}

/**
 * Where calls to a cluster get their streams. The modules of clusters are loaded by the first call, or by `ready()`;
 * what is wrong is thrown here.
 *
 * @throws SetupError naming the option, or what is no endpoint
 */
export function dialCluster(target: ClusterTarget, options: Options): LazyCluster {
  const { name, connections = {} } = options;
  if (name !== undefined && (typeof name !== "string" || name === "")) {
    throw new SetupError(`dial: the option name must be a text, not ${show(name)}`);
  }
  const { slowStart, health, outlier, ...choice } = checkChoice(options);
  checkGroup("connections", connections, poolRules);
  const isList = !("watch" in target);
  const list = isList ? target.map(checkEndpoint) : [];
  if (isList && list.length === 0) throw new SetupError("dial: a list of endpoints must have one at least");
  const authority = options.authority ?? (isList ? undefined : target.authority);
  const tls = checkTls(options, authority);
  const connection = mergeConnectionOptions({ ...options, authority, tls });
  return new LazyCluster(connection, async () => {
    const [parts, checks] = await Promise.all([
      import("./cluster-parts.ts"),
      health === undefined ? undefined : import("../health-checks/health-checks.ts"),
    ]);
    const { Cluster, poolDefaults, outlierDefaults, slowStartDefaults, healthDefaults } = parts;
    const label = name ?? (isList ? "list" : (target.authority ?? target.name));
    return new Cluster({
      ...choice,
      name: label,
      resolver: isList ? parts.staticResolver(list) : target,
      pool: { ...poolDefaults, ...connections },
      connection,
      maxQueuedCalls: connection.http2.maxQueuedCalls,
      books: parts.clientCounts,
      slowStart: { ...slowStartDefaults, ...slowStart },
      health: checks?.healthChecks({ ...healthDefaults, ...health }, { name: label, connection }),
      outlier: outlier === undefined ? undefined : { ...outlierDefaults, ...outlier },
    });
  });
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

/** Certificates are verified against the name of the service, which a list does not have. */
function checkTls({ tls = false }: Options, authority: string | undefined): ConnectionOptions["tls"] {
  if (tls === false || (tls !== true && tls.serverName !== undefined)) return tls;
  if (authority === undefined) {
    throw new SetupError(
      "dial: tls for several endpoints needs tls.serverName, the name in the certificates of all of them",
    );
  }
  return { ...(tls === true ? {} : tls), serverName: authority.replace(/:\d+$/, "") };
}
