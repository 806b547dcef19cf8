/** `ts-ms/hub`: the live connections of servers. */

export { connectionOf, Hub, type HubParts, type MetricsPage, type NodeInfo } from "../hub/hub.ts";
export { hubDefaults, type HubOptions } from "../hub/hub-options.ts";
export type { HubEvents } from "../hub/hub-events.ts";
export type { Identity } from "../hub/connections/identity.ts";
export type { Selector } from "../hub/connections/selector.ts";
export type { CloseOptions, HubOutcome } from "../hub/connections/close.ts";
export type { Counts, GroupBy } from "../hub/connections/counts.ts";
export type { CloseReason, Connection } from "../hub/connections/entry.ts";
export type { ConnectionPage, PageOptions } from "../hub/connections/listing.ts";
export type { ConnectionStatistics, HubStatistics } from "../hub/connections/statistics.ts";
