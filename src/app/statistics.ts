import type { CallContext } from "../core/call/context.ts";
import type { CallObserver } from "../core/call/observer.ts";
import { Code, type ConnectError } from "../core/errors/errors.ts";
import type { ConnectionCounts } from "../core/net/connection-count.ts";
import { messagesOf } from "../core/telemetry/call-messages.ts";
import { Durations } from "../core/telemetry/durations.ts";
import { durationBuckets } from "../core/telemetry/metric-list.ts";

/** What a server, or all servers of an app together, have done since `sinceMs`; restarts do not begin anew. */
export interface Statistics {
  /** Connections that were accepted. */
  readonly totalConnections: number;
  /** Connections that are open. */
  readonly activeConnections: number;
  /** Connections that were closed at once, for a limit. */
  readonly refusedConnections: number;
  /** Calls that began, and requests that were refused. */
  readonly totalRequests: number;
  /** Calls under way. */
  readonly activeRequests: number;
  /** Calls that failed by a fault of the server: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE or DATA_LOSS. */
  readonly failedRequests: number;
  /** Requests that were refused before a handler had them. */
  readonly refusedRequests: number;
  /** Messages of calls that have ended, those that came and those that went. */
  readonly totalMessages: number;
  /** Those of calls that failed by a fault of the server. */
  readonly failedMessages: number;
  /** Average time from the arrival of a call to its end, in milliseconds; 0 before the first has ended. */
  readonly averageResponseTimeMs: number;
  /**
   * Half of the calls took no longer, in milliseconds, as a histogram tells: within its bucket the time is estimated,
   * and no time is above 30,000. 0 before the first has ended.
   */
  readonly p50Ms: number;
  /** As `p50Ms`, for nine calls of ten. */
  readonly p90Ms: number;
  /** As `p50Ms`, for 99 calls of a hundred. */
  readonly p99Ms: number;
  /** When counting began, in milliseconds of Unix time. */
  readonly sinceMs: number;
}

/** Codes of errors that are the server's fault. */
const faults: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** Counts what one server does, over all of its starts. */
export class ServerCounts implements CallObserver {
  readonly sinceMs = Date.now();
  readonly #durations = new Durations();
  #started = 0;
  #failed = 0;
  #refused = 0;
  #messages = 0;
  #failedMessages = 0;
  #totalBefore = 0;
  #refusedBefore = 0;

  started(): void {
    this.#started++;
  }

  finished(context: CallContext, error: ConnectError | undefined): void {
    const { received, sent } = messagesOf(context, error === undefined);
    this.#messages += received + sent;
    if (error !== undefined && faults.has(error.code)) {
      this.#failed++;
      this.#failedMessages += received + sent;
    }
    this.#durations.observe((performance.now() - context.startedAt) / 1000);
  }

  refused(): void {
    this.#refused++;
  }

  /** A server has stopped: from now on its connections are part of what was before. */
  stopped({ total, refused }: ConnectionCounts): void {
    this.#totalBefore += total;
    this.#refusedBefore += refused;
  }

  /** @param connections those of the server that runs */
  book({ total, active, refused }: ConnectionCounts): Book {
    return {
      totalConnections: this.#totalBefore + total,
      activeConnections: active,
      refusedConnections: this.#refusedBefore + refused,
      startedCalls: this.#started,
      endedCalls: this.#durations.count,
      failedRequests: this.#failed,
      refusedRequests: this.#refused,
      totalMessages: this.#messages,
      failedMessages: this.#failedMessages,
      seconds: this.#durations.sum,
      buckets: this.#durations.counts,
      sinceMs: this.sinceMs,
    };
  }
}

/** What of the statistics can be added to that of other servers. */
export interface Book {
  readonly totalConnections: number;
  readonly activeConnections: number;
  readonly refusedConnections: number;
  readonly startedCalls: number;
  readonly endedCalls: number;
  readonly failedRequests: number;
  readonly refusedRequests: number;
  readonly totalMessages: number;
  readonly failedMessages: number;
  /** Durations of all calls that have ended. */
  readonly seconds: number;
  /** How many calls took no longer than each of `durationBuckets` but longer than the one before, and the rest. */
  readonly buckets: readonly number[];
  readonly sinceMs: number;
}

/** The statistics of one server, or of several together. */
export function statisticsOf(...books: readonly Book[]): Statistics {
  const sum = (count: (book: Book) => number): number => books.reduce((all, book) => all + count(book), 0);
  const buckets = [...durationBuckets, Infinity].map((_, place) => sum((book) => book.buckets[place] ?? 0));
  const started = sum((book) => book.startedCalls);
  const ended = sum((book) => book.endedCalls);
  const refused = sum((book) => book.refusedRequests);
  const quantileMs = (share: number): number => quantile(buckets, share) * 1000;
  return {
    totalConnections: sum((book) => book.totalConnections),
    activeConnections: sum((book) => book.activeConnections),
    refusedConnections: sum((book) => book.refusedConnections),
    totalRequests: started + refused,
    activeRequests: started - ended,
    failedRequests: sum((book) => book.failedRequests),
    refusedRequests: refused,
    totalMessages: sum((book) => book.totalMessages),
    failedMessages: sum((book) => book.failedMessages),
    averageResponseTimeMs: ended === 0 ? 0 : (sum((book) => book.seconds) / ended) * 1000,
    p50Ms: quantileMs(0.5),
    p90Ms: quantileMs(0.9),
    p99Ms: quantileMs(0.99),
    sinceMs: Math.min(...books.map((book) => book.sinceMs)),
  };
}

/**
 * A quantile of a histogram over `durationBuckets`, in seconds, estimated as Prometheus does: evenly spread within its
 * bucket, and the last bound for what is above it; 0 for an empty histogram.
 */
export function quantile(buckets: readonly number[], share: number): number {
  const rank = share * buckets.reduce((all, count) => all + count, 0);
  if (rank === 0) return 0;
  let below = 0;
  for (const [place, bound] of durationBuckets.entries()) {
    const count = buckets[place] ?? 0;
    if (below + count >= rank) {
      const from = durationBuckets[place - 1] ?? 0;
      return from + ((bound - from) * (rank - below)) / count;
    }
    below += count;
  }
  return durationBuckets.at(-1) ?? 0;
}
