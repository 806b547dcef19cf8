/** The modules of clusters, which a program loads with the first call that needs them. */
export { Cluster } from "../cluster/cluster.ts";
export { poolDefaults } from "../cluster/connection-pool.ts";
export { healthDefaults } from "../cluster/health.ts";
export { outlierDefaults } from "../cluster/outlier.ts";
export { slowStartDefaults } from "../cluster/ramp.ts";
export { Plans } from "../policy/plans.ts";
export { retryBudgetDefaults } from "../resilience/retry-budget.ts";
export { staticResolver } from "../discovery/static.ts";
export { clientCounts } from "../telemetry/client-books.ts";
export { clusterStats } from "./dial-stats.ts";
