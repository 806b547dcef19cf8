/** `ts-ms/hub`: the live connections of servers. */

export { connectionOf, Hub, type HubParts, type NodeInfo } from "../hub/hub.ts";
export { hubDefaults, type HubOptions } from "../hub/hub-options.ts";
export type { HubEvents } from "../hub/hub-events.ts";
export type { Identity } from "../hub/connections/identity.ts";
export type { Selector } from "../hub/connections/selector.ts";
export type { CloseOptions, HubOutcome } from "../hub/connections/close.ts";
export type { Counts, GroupBy } from "../hub/connections/counts.ts";
export type { CloseReason, Connection } from "../hub/connections/connection.ts";
export type { AdminOptions } from "../hub/services/hub-admin-service.ts";
export type { DrainOptions } from "../hub/connections/drain.ts";
export type { RoomInfo, RoomPage, RoomsQuery } from "../hub/room-listing.ts";
export type { ConnectionPage, PageOptions } from "../hub/connections/listing.ts";
export type {
  ConnectionsStatistics,
  ConnectionStatistics,
  MetricsPage,
} from "../hub/connections/statistics.ts";
export type { HubStatistics } from "../hub/topics.ts";
export type { RpcTopic, Topic } from "../hub/typed-topic.ts";
export type {
  Bus,
  BusNode,
  BusPage,
  BusPublication,
  BusReceipt,
  HistoryBounds,
  RoomSeen,
} from "../hub/bus/bus.ts";
export { memoryBus, MemoryStore } from "../hub/bus/memory-bus.ts";
export { workerBus } from "../hub/bus/workers/worker-bus.ts";
export type { PresenceBounds } from "../hub/presence/presence-bounds.ts";
export type { PresenceSnapshot, PresentMember } from "../hub/presence/presence-events.ts";
export type { Position } from "../hub/room/position.ts";
export type { Publication, RoomEntry } from "../hub/room/publication.ts";
export type { TopicSettingsInit } from "../hub/topic-settings.ts";
export type {
  HistoryOptions,
  HistoryPage,
  JoinAttempt,
  JoinGrant,
  JoinOptions,
  PublishOptions,
  Receipt,
  RoomPublication,
  RpcTopicInit,
  SendingMember,
  SendOptions,
  Snapshot,
  TopicInit,
} from "../hub/topic-options.ts";
export type { EventHeaders, HeaderFilter, HeaderTest } from "../hub/room/header-filter.ts";
