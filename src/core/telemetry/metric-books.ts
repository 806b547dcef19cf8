import type { CallContext } from "../call/context.ts";
import type { Durations } from "./durations.ts";
import type { metricList } from "./metric-list.ts";

/** Counts of one rpc called by one protocol. */
export interface CallSeries {
  readonly labels: { readonly service: string; readonly method: string; readonly protocol: string };
  readonly durations: Durations;
  /** Number of calls that ended, by status number from 0 to 16. */
  readonly finished: number[];
  /** The same for a service's own status numbers above 16. */
  readonly ownCodes: Map<number, number>;
  started: number;
  ended: number;
  faults: number;
  /** Messages of calls that have ended. */
  received: number;
  sent: number;
  /** Streams that are open. */
  readonly streams: Set<CallContext>;
}

/** Counts of one HTTP method on one route. */
export interface HttpSeries {
  readonly labels: { readonly route: string; readonly method: string };
  readonly durations: Durations;
  /** Number of requests that were answered, by status. */
  readonly byStatus: Map<number, number>;
}

/** A count with its labels. */
export interface Tally {
  readonly labels: Readonly<Record<string, string>>;
  count: number;
}

/** The metrics whose values features keep: their series exist while something is watched. */
export const watchedMetrics = [
  "auth",
  "jwksAge",
  "jwksFetches",
  "limitDecisions",
  "overloadLimit",
  "overloadInFlight",
  "overloadState",
  "shed",
  "extAuthz",
  "extAuthzDuration",
  "extAuthzIgnored",
  "auditRecords",
  "hubConnections",
  "hubConnectionsTotal",
  "hubRefused",
  "hubClosed",
  "hubRooms",
  "hubMembers",
  "hubLagging",
  "hubRingBytes",
  "hubDirectBytes",
  "hubDeliverySeconds",
  "hubPublished",
  "hubDeliveries",
  "hubEncodings",
  "hubJoins",
  "hubResumes",
  "hubResets",
  "hubGaps",
  "hubNodes",
  "hubBusUp",
  "hubBusSeconds",
  "hubBusErrors",
  "hubPresent",
  "hubPresenceEvents",
  "hubAcks",
  "outboxPending",
  "outboxOldest",
  "outboxLeader",
  "outboxRelayed",
  "inboxDuplicates",
  "queueReceived",
  "queueSettled",
  "queueReleased",
  "queueDead",
  "queueAge",
  "queueLag",
  "queueInFlight",
  "queueBuffered",
  "queueBufferedBytes",
  "queueLanesHeld",
  "queuePaused",
  "queueMovesFailing",
  "queuePublished",
  "queuePublishSeconds",
  "queuePublishing",
  "brokerConnected",
  "brokerBlocked",
  "brokerReconnects",
  "dispatchMatched",
  "dispatchDeliveries",
  "dispatchFilterErrors",
  "dispatchSubscriptions",
  "sagaBegun",
  "sagaEnded",
  "sagaOpen",
  "sagaStuck",
  "sagaUndone",
  "workers",
  "workerRestarts",
  "workerConnections",
  "workerHandedOver",
  "workerSnapshotAge",
  "workerPostsDropped",
] as const satisfies readonly (keyof typeof metricList)[];

/** The key in `metricList` of a metric whose values a feature keeps. */
export type WatchedMetric = (typeof watchedMetrics)[number];

/** A value of a metric with its labels: a number, or the durations of a histogram. */
export interface WatchedValue {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | Durations;
}

/** Reads the values of a feature; called whenever the page is read. */
export type ReadWatched = () => Iterable<WatchedValue>;

/** Messages of one rpc called by one protocol. */
export interface MessageSeries {
  readonly labels: CallSeries["labels"];
  readonly received: number;
  readonly sent: number;
}

/** Counts of operations of GraphQL. */
export interface GraphqlCounts {
  /** By type and outcome. */
  readonly operations: ReadonlyMap<string, Tally>;
  /** By reason. */
  readonly refused: ReadonlyMap<string, Tally>;
  /** By type. */
  readonly durations: ReadonlyMap<string, Durations>;
  /** Keys of each call of a batch rpc. */
  readonly keys: Durations;
}

/** All counts: plain numbers, which are converted to metrics when the page is read. */
export interface MetricBooks {
  calls(): CallSeries[];
  /** Messages, those of streams that are open among them. */
  messages(): Iterable<MessageSeries>;
  http(): HttpSeries[];
  /** Requests over HTTP/1.1, by what has read them. */
  readonly http1: { readonly fast: number; readonly node: number };
  /** Exceptions and rejections outside of any call, by origin. */
  readonly processFaults: ReadonlyMap<string, Tally>;
  /** Calls that were refused before their handler. */
  readonly refused: ReadonlyMap<string, Tally>;
  /** Names that were ignored, by kind and route. */
  readonly ignored: ReadonlyMap<string, Tally>;
  /** Requests of MCP, by method and outcome. */
  readonly mcp: ReadonlyMap<string, Tally>;
  readonly graphql: GraphqlCounts;
  /** What features say of a metric now. */
  watched(metric: WatchedMetric): Iterable<WatchedValue>;
}
