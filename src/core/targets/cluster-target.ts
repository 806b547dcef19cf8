import type { Balance, BalancePolicy } from "../cluster/balance.ts";
import type { PoolOptions } from "../cluster/connection-pool.ts";
import { show } from "../config/check-options.ts";
import type { Endpoint, Resolver } from "../discovery/resolver.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";
import { mergeConnectionOptions, type ConnectionOptions } from "../http2/connection-options.ts";
import { parseTarget } from "../net/target.ts";
import { LazyCluster } from "./lazy-cluster.ts";
import { givesPolicies, policyDialDefaults, type PolicyDialOptions } from "./policy-options.ts";

/** A target whose endpoints are known, or are found by a resolver. */
export type ClusterTarget = readonly (string | Endpoint)[] | Resolver;

/** Options of `dial` for targets with several endpoints. */
export interface ClusterDialOptions extends PolicyDialOptions {
  /**
   * Name of the target: label of its metrics, and first word of its errors. Default: what the resolver calls the
   * service, or its own name; `list` for a list.
   */
  readonly name: string | undefined;
  /**
   * How the endpoint of each attempt is chosen: `p2c`, by load, lag and failures; `round_robin`, `random`;
   * `least_request`, by load alone; `pick_first`, the first that can be reached, for all calls. All but `pick_first`
   * honour weights. Default: `p2c`.
   */
  readonly balance: BalancePolicy | Balance;
  /** Connections to each endpoint. Default: see `PoolOptions`. */
  readonly connections: Partial<PoolOptions>;
}

/** The defaults of `ClusterDialOptions`. */
export const clusterDialDefaults: ClusterDialOptions = Object.freeze({
  ...policyDialDefaults,
  name: undefined,
  balance: "p2c",
  connections: Object.freeze({}),
});

const balances: readonly BalancePolicy[] = ["p2c", "round_robin", "random", "least_request", "pick_first"];

/** The least that each number of `connections` may be, and what it is if it is not given. */
const poolLimits: Readonly<Record<keyof PoolOptions, number>> = {
  max: 1,
  maxAgeMs: 0,
  idleTimeoutMs: 1,
  atOnce: 1,
};

/** The options of connections and clusters together. */
type Options = Partial<ConnectionOptions & ClusterDialOptions>;

/** Whether options ask for a cluster even where the target is one server. */
export function wantsCluster(options: Partial<ClusterDialOptions>): boolean {
  const { name, balance, connections } = options;
  return name !== undefined || balance !== undefined || connections !== undefined || givesPolicies(options);
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
  const { name, balance = clusterDialDefaults.balance, connections = {} } = options;
  if (name !== undefined && (typeof name !== "string" || name === "")) {
    throw new SetupError(`dial: the option name must be a text, not ${show(name)}`);
  }
  const choice = checkBalance(balance);
  checkConnections(connections);
  const { policies, contractPolicies, retryBudget } = { ...policyDialDefaults, ...options };
  const isList = !("watch" in target);
  const list = isList ? target.map(checkEndpoint) : [];
  if (isList && list.length === 0) throw new SetupError("dial: a list of endpoints must have one at least");
  const authority = options.authority ?? (isList ? undefined : target.authority);
  const tls = checkTls(options, authority);
  const connection = mergeConnectionOptions({ ...options, authority, tls });
  return new LazyCluster(connection, async () => {
    const [
      { Cluster },
      { poolDefaults },
      { clientCounts },
      { staticResolver },
      { Plans },
      { retryBudgetDefaults },
    ] = await Promise.all([
      import("../cluster/cluster.ts"),
      import("../cluster/connection-pool.ts"),
      import("../telemetry/client-books.ts"),
      import("../discovery/static.ts"),
      import("../policy/plans.ts"),
      import("../resilience/retry-budget.ts"),
    ]);
    return new Cluster({
      name: name ?? (isList ? "list" : (target.authority ?? target.name)),
      resolver: isList ? staticResolver(list) : target,
      balance: choice,
      pool: { ...poolDefaults, ...connections },
      connection,
      maxQueuedCalls: connection.http2.maxQueuedCalls,
      books: clientCounts,
      plans: new Plans({ policies, contractPolicies }),
      retryBudget: { ...retryBudgetDefaults, ...retryBudget },
    });
  });
}

function checkBalance(balance: unknown): Balance {
  const choice = typeof balance === "string" ? { policy: balance } : balance;
  const { policy, choices, ...others } = (choice ?? {}) as Partial<Balance>; // Checked below.
  if (typeof policy !== "string" || !balances.includes(policy)) {
    const near = typeof policy === "string" ? nearestName(policy, balances) : undefined;
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw new SetupError(
      `dial: the option balance must be one of ${balances.join(", ")}, not ${show(balance)}${hint}`,
    );
  }
  const [unknown] = Object.keys(others);
  if (unknown !== undefined || (choices !== undefined && policy !== "least_request")) {
    throw new SetupError(`dial: the option balance has no ${unknown ?? "choices"} for ${policy}`);
  }
  if (choices !== undefined && !(Number.isInteger(choices) && choices >= 2 && choices <= 10)) {
    throw new SetupError(`dial: the option balance.choices must be from 2 to 10, not ${show(choices)}`);
  }
  return choices === undefined ? { policy } : { policy, choices };
}

function checkConnections(connections: unknown): void {
  if (typeof connections !== "object" || connections === null) {
    throw new SetupError(`dial: the option connections must be an object, not ${show(connections)}`);
  }
  for (const [name, value] of Object.entries(connections)) {
    if (!Object.hasOwn(poolLimits, name)) {
      const near = nearestName(name, Object.keys(poolLimits));
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      throw new SetupError(`dial: there is no option connections.${name}${hint}`);
    }
    const least = poolLimits[name as keyof PoolOptions]; // As it was found above.
    const unit = name.endsWith("Ms") || Number.isInteger(value);
    if (value !== undefined && !(typeof value === "number" && value >= least && unit)) {
      throw new SetupError(
        `dial: the option connections.${name} must be a number from ${least}, not ${show(value)}`,
      );
    }
  }
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
