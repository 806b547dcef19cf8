/** `ts-ms/clients`: the types of what `dial` is given and shows, and of what finds servers. */

export type { DialStats } from "../core/targets/dial-stats.ts";
export type { Balance } from "../core/cluster/balance.ts";
export type { PoolOptions } from "../core/cluster/connection-pool.ts";
export type { HealthOptions } from "../core/cluster/health.ts";
export type { OutlierOptions } from "../core/cluster/outlier.ts";
export type { SlowStartOptions } from "../core/cluster/ramp.ts";
export type { ClientTls } from "../core/net/client-tls.ts";
export type { ConnectBackoff, ConnectionOptions } from "../core/http2/connection-options.ts";
export type { ConnectionState } from "../core/http2/http2-connection.ts";
export type { ClientHttp2Options, ClientKeepalive } from "../core/http2/client-http2-options.ts";
export type { MethodPolicyInit, SelectedPolicy } from "../core/policy/method-policy.ts";
export type {
  BreakerEvent,
  ClientObserver,
  EndpointEvent,
  FinishedAttempt,
  FinishedCall,
} from "../core/cluster/client-observer.ts";
export type { PlanLine } from "../core/policy/plan.ts";
export type { Endpoint, Resolver, ResolverListener } from "../core/discovery/resolver.ts";
export type { Catalog, CatalogEntry, CatalogListener } from "../core/discovery/catalog.ts";
