import type { DoorName } from "../../core/admission/call-head.ts";
import type { CallContext } from "../../core/call/context.ts";
import { Code } from "../../core/errors/errors.ts";
import type { ReadWatched, WatchedMetric } from "../../core/telemetry/metric-books.ts";
import type { CloseReason } from "./connection.ts";
import type { Entry } from "./entry.ts";
import type { RefuseReason } from "./limits.ts";

/** What the connections of a door, or of all together, have done since the hub was made. */
export interface ConnectionStatistics {
  readonly totalConnections: number;
  readonly activeConnections: number;
  readonly refusedConnections: number;
  /** Streaming calls that began; unary calls are the business of the servers. */
  readonly totalRequests: number;
  /** Those that ended by a fault of the server: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE or DATA_LOSS. */
  readonly failedRequests: number;
  /** Messages that came and went, those of calls under way among them. */
  readonly totalMessages: number;
  /** Those of calls that failed by a fault of the server. */
  readonly failedMessages: number;
  /** What was sent to connections, those that are open among them: see `Connection.bytes`. */
  readonly bytes: number;
  /** Average time from the begin of a streaming call to its end, in milliseconds; 0 before the first has ended. */
  readonly averageResponseTimeMs: number;
}

/** What a hub has done. */
export interface ConnectionsStatistics extends ConnectionStatistics {
  readonly doors: Readonly<Partial<Record<DoorName, ConnectionStatistics>>>;
  /** When counting began, in milliseconds since 1970. */
  readonly sinceMs: number;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}

/** The page of metrics, as `Metrics` of `ts-ms/telemetry` has it. */
export interface MetricsPage {
  watch(metric: WatchedMetric, read: ReadWatched): () => void;
}

/** What the connections of a node have done, to be added to that of others. */
export interface ConnectionTotals {
  readonly doors: Readonly<Partial<Record<DoorName, DoorCounts>>>;
  /** When counting began, in milliseconds since 1970. */
  readonly sinceMs: number;
}

/** Counts of one door. */
export interface DoorCounts {
  opened: number;
  active: number;
  refused: number;
  calls: number;
  ended: number;
  failed: number;
  messages: number;
  failedMessages: number;
  /** Sent to connections that are no more. */
  bytes: number;
  ms: number;
}

const faults: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** Counts what connections do, by their doors. */
export class ConnectionCounts {
  readonly #doors = new Map<DoorName, DoorCounts>();
  readonly #refused = new Map<RefuseReason, number>();
  readonly #closed = new Map<DoorName, Map<CloseReason, number>>();
  readonly #sinceMs: number;

  /** @param sinceMs when counting begins, in milliseconds since 1970 */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  opened(door: DoorName): void {
    const counts = this.#of(door);
    counts.opened++;
    counts.active++;
  }

  refused(door: DoorName, reason: RefuseReason): void {
    this.#of(door).refused++;
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  left({ door, bytes }: Entry, reason: CloseReason): void {
    const counts = this.#of(door);
    counts.active--;
    counts.bytes += bytes;
    const reasons = this.#closed.get(door) ?? new Map<CloseReason, number>();
    this.#closed.set(door, reasons.set(reason, (reasons.get(reason) ?? 0) + 1));
  }

  callBegan({ door }: Entry): void {
    this.#of(door).calls++;
  }

  callEnded({ door }: Entry, { sent, received, startedAt, reason }: CallContext): void {
    const counts = this.#of(door);
    counts.ended++;
    counts.ms += performance.now() - startedAt;
    counts.messages += sent + received;
    if (reason === undefined || !faults.has(reason.code)) return;
    counts.failed++;
    counts.failedMessages += sent + received;
  }

  /** @param entries those that are open: what their calls have sent counts already */
  totals(entries: Iterable<Entry>): ConnectionTotals {
    const doors = new Map([...this.#doors].map(([door, counts]) => [door, { ...counts }]));
    for (const { door, openMessages, bytes } of entries) {
      const counts = doors.get(door);
      if (counts === undefined) continue; // All of them have been counted.
      counts.messages += openMessages;
      counts.bytes += bytes;
    }
    return { doors: Object.fromEntries(doors), sinceMs: this.#sinceMs };
  }

  /** Adds what is counted to a page of metrics. @returns functions that take it from there */
  watch(metrics: MetricsPage): (() => void)[] {
    const doors = this.#doors;
    return [
      metrics.watch("hubConnections", () =>
        [...doors].map(([door, { active: value }]) => ({ labels: { door }, value })),
      ),
      metrics.watch("hubConnectionsTotal", () =>
        [...doors].map(([door, { opened: value }]) => ({ labels: { door }, value })),
      ),
      metrics.watch("hubRefused", () =>
        [...this.#refused].map(([reason, value]) => ({ labels: { reason }, value })),
      ),
      metrics.watch("hubClosed", () =>
        [...this.#closed].flatMap(([door, reasons]) =>
          [...reasons].map(([reason, value]) => ({ labels: { door, reason }, value })),
        ),
      ),
    ];
  }

  #of(door: DoorName): DoorCounts {
    const known = this.#doors.get(door);
    if (known !== undefined) return known;
    const counts = none();
    this.#doors.set(door, counts);
    return counts;
  }
}

function none(): DoorCounts {
  return {
    opened: 0,
    active: 0,
    refused: 0,
    calls: 0,
    ended: 0,
    failed: 0,
    messages: 0,
    failedMessages: 0,
    bytes: 0,
    ms: 0,
  };
}

function sumOf(all: readonly DoorCounts[]): DoorCounts {
  const sum = none();
  const names = Object.keys(sum) as (keyof DoorCounts)[]; // It has no other members.
  for (const counts of all) for (const name of names) sum[name] += counts[name] ?? 0; // Of another release.
  return sum;
}

/** What nodes have done together. */
export function statisticsOf(all: readonly ConnectionTotals[]): ConnectionsStatistics {
  const byDoor = new Map<DoorName, DoorCounts>();
  for (const { doors } of all) {
    for (const [name, counts] of Object.entries(doors)) {
      const door = name as DoorName; // The names of doors are its keys.
      byDoor.set(door, sumOf([byDoor.get(door) ?? none(), counts]));
    }
  }
  return {
    ...ofCounts(sumOf([...byDoor.values()])),
    doors: Object.fromEntries([...byDoor].map(([door, counts]) => [door, ofCounts(counts)])),
    sinceMs: Math.min(...all.map(({ sinceMs }) => sinceMs)),
    unreachable: [],
  };
}

function ofCounts(counts: DoorCounts): ConnectionStatistics {
  return {
    totalConnections: counts.opened,
    activeConnections: counts.active,
    refusedConnections: counts.refused,
    totalRequests: counts.calls,
    failedRequests: counts.failed,
    totalMessages: counts.messages,
    failedMessages: counts.failedMessages,
    bytes: counts.bytes,
    averageResponseTimeMs: counts.ended === 0 ? 0 : counts.ms / counts.ended,
  };
}
