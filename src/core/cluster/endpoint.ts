import type { KnownEndpoint } from "../discovery/endpoint-list.ts";
import type { CloseReason, ConnectionPool, PoolListener, PoolState } from "./connection-pool.ts";
import { EndpointLoad, type LoadedAttempt, type Verdict } from "./endpoint-load.ts";
import type { EndpointCheck, EndpointHealth } from "./health.ts";
import type { RingCandidate } from "./hash-ring.ts";
import type { OutageRecord } from "./outlier.ts";
import type { Ramp } from "./ramp.ts";
import type { PlacedCandidate } from "./spread.ts";

/** The state of an endpoint: that of its connections, or why one that is connected gets no calls. */
export type EndpointState = PoolState | "not_serving" | "ejected";

/** Is notified by endpoints: one object for all of them, since there may be thousands. */
export interface EndpointHost {
  /** The state of an endpoint may have changed. */
  changed(endpoint: ClusterEndpoint): void;
  /** A further stream can be opened. */
  roomMade(): void;
  /** A connection that was ready has ended, or gets no new calls. */
  closed(reason: CloseReason): void;
}

/** One endpoint of a cluster: what is known of it, its connections and its figures. */
export class ClusterEndpoint implements PlacedCandidate, RingCandidate, PoolListener {
  readonly pool: ConnectionPool;
  readonly load: EndpointLoad;
  /** Its state as the cluster has counted it. */
  state: EndpointState = "idle";
  /** The state of its connections as the cluster has counted it. */
  poolState: PoolState = "idle";
  /** Whether it waits for its turn to be connected. */
  isQueued = false;
  /** Whether it is no endpoint of the cluster any more. */
  isGone = false;
  /** Whether it was found together with all others, so that there was none that it could have been slower than. */
  isOriginal = true;
  /** Whether an attempt to connect has ended, well or not. */
  isJudged = false;
  /** Whether it has been ready. */
  wasReady = false;
  /** Its share of the calls relative to others': while it is new, less than it was found with. */
  weight: number;
  /** What its checks say; without checks nothing. */
  health: EndpointHealth = "unknown";
  /** Whether it gets no calls before its first health. */
  awaitsHealth = false;
  /** Active checks. Default: none. */
  check: EndpointCheck | undefined;
  /** What counts for ejection. Default: nothing. */
  outages: OutageRecord | undefined;
  /** The way to its whole weight; undefined if it has that. */
  ramp: Ramp | undefined;
  readonly #host: EndpointHost;
  #known: KnownEndpoint;
  /** When the last outage without a reply was counted. */
  #lostMs = Number.NEGATIVE_INFINITY;

  constructor(
    known: KnownEndpoint,
    host: EndpointHost,
    nowMs: number,
    poolOf: (listener: PoolListener) => ConnectionPool,
  ) {
    this.#known = known;
    this.#host = host;
    this.weight = known.weight;
    this.pool = poolOf(this);
    this.load = new EndpointLoad(nowMs);
  }

  changed(): void {
    this.#host.changed(this);
  }

  roomMade(): void {
    this.#host.roomMade();
  }

  closed(reason: CloseReason): void {
    this.#host.closed(reason);
  }

  /** As the resolver found it last. */
  get known(): KnownEndpoint {
    return this.#known;
  }

  set known(known: KnownEndpoint) {
    this.#known = known;
    this.weight = known.weight;
  }

  get fullWeight(): number {
    return this.#known.weight;
  }

  get priority(): number {
    return this.#known.priority;
  }

  get zone(): string | undefined {
    return this.#known.zone;
  }

  get hashKey(): string {
    return this.#known.hashKey;
  }

  /** Its state by connections, health and ejection, from which `state` is counted. */
  get stateNow(): EndpointState {
    if (this.poolState !== "ready") return this.poolState;
    if (this.awaitsHealth) return "connecting";
    if (this.health === "not_serving") return "not_serving";
    return this.outages?.isEjected === true ? "ejected" : "ready";
  }

  /** Time until the end of its ejection, in milliseconds; 0 without one. */
  ejectedForMs(nowMs: number): number {
    return this.outages?.ejectedForMs(nowMs) ?? 0;
  }

  /** Sets the weight that it has by now. */
  updateWeight(nowMs: number): void {
    const factor = this.ramp?.factor(nowMs) ?? 1;
    if (factor === 1) this.ramp = undefined;
    this.weight = this.#known.weight * factor;
  }

  /**
   * An attempt is over.
   *
   * @param isLost whether it has ended without a reply. All attempts that end with a connection are one outage: a server
   *   that was restarted once is not ejected for the number of calls that it had.
   */
  end(attempt: LoadedAttempt, verdict: Verdict, ok: boolean, isLost: boolean, nowMs: number): void {
    this.load.end(attempt, verdict, ok, nowMs);
    if (isLost && verdict === "outage") {
      if (attempt.beganMs <= this.#lostMs) return;
      this.#lostMs = nowMs;
    }
    this.outages?.count(verdict, nowMs);
  }
}
