import type { PooledConnection } from "./connection-pool.ts";
import type { ClusterEndpoint } from "./endpoint.ts";
import type { Members } from "./members.ts";
import type { Picker } from "./picker.ts";

/** What a call asks of its endpoint. */
export interface PickRequest {
  /** Endpoints of attempts before, which are avoided while there are others. */
  readonly tried: readonly ClusterEndpoint[] | undefined;
  /** Whether the call may go to an endpoint that could be picked. Default: to any. */
  readonly mayUse?: ((endpoint: ClusterEndpoint) => boolean) | undefined;
}

/** Where an attempt can begin. */
export interface Place {
  readonly endpoint: ClusterEndpoint;
  readonly pooled: PooledConnection;
}

/**
 * Pause between two changes of the candidates for each of them, in milliseconds: while thousands of endpoints are
 * connected, the picker does not begin anew with each of them. Endpoints that are lost meanwhile are passed over.
 */
const refreshPauseMs = 0.01;

/** The endpoints that calls can be sent to, and the choice among them. */
export class Candidates {
  readonly #members: Members;
  /** Undefined for `pick_first`. */
  readonly #picker: Picker<ClusterEndpoint> | undefined;
  readonly #random: () => number;
  #list: readonly ClusterEndpoint[] = [];
  /** Whether the endpoints have changed since the last refresh. */
  #isStale = false;
  #refreshedMs = 0;

  /** @param random returns numbers from 0 to 1, without 1 */
  constructor(members: Members, picker: Picker<ClusterEndpoint> | undefined, random: () => number) {
    this.#members = members;
    this.#picker = picker;
    this.#random = random;
  }

  /** The endpoints that can be picked. */
  get all(): readonly ClusterEndpoint[] {
    return this.#list;
  }

  /** Whether the call may go to an endpoint that it has not tried. */
  hasUntried({ tried, mayUse }: PickRequest): boolean {
    return this.#list.some((endpoint) => tried?.includes(endpoint) !== true && mayUse?.(endpoint) !== false);
  }

  /** Endpoints have become pickable, or are not any more. */
  invalidate(): void {
    this.#isStale = true;
  }

  /** Reads the endpoints anew. */
  refresh(nowMs: number): void {
    this.#isStale = false;
    this.#refreshedMs = nowMs;
    const list = [...this.#members.all].filter(({ state, weight }) => state === "ready" && weight > 0);
    this.#list = this.#picker === undefined ? list.slice(0, 1) : list;
    this.#picker?.update(this.#list, nowMs);
  }

  /**
   * An endpoint for a call, with a connection that has room for a stream. If the endpoint that is picked has none, any
   * other one that has.
   *
   * @returns undefined if there is no candidate, or none has room; then another connection is on its way
   */
  place(request: PickRequest, nowMs: number): Place | undefined {
    if (this.#isStale && nowMs - this.#refreshedMs >= this.#list.length * refreshPauseMs) this.refresh(nowMs);
    const endpoint = this.#pick(request, nowMs);
    if (endpoint === undefined) return undefined;
    const pooled = endpoint.pool.withRoom();
    if (pooled !== undefined) return { endpoint, pooled };
    const other = this.#anyWithRoom(request);
    if (other === undefined) endpoint.pool.grow();
    return other;
  }

  #anyWithRoom({ mayUse }: PickRequest): Place | undefined {
    const { length } = this.#list;
    const first = Math.floor(this.#random() * length);
    for (let step = 0; step < length; step++) {
      const endpoint = this.#list[(first + step) % length];
      if (endpoint === undefined || mayUse?.(endpoint) === false) continue;
      const pooled = endpoint.pool.withRoom();
      if (pooled !== undefined) return { endpoint, pooled };
    }
    return undefined;
  }

  /** An endpoint that the call has not tried yet, if there is one. */
  #pick({ tried, mayUse }: PickRequest, nowMs: number): ClusterEndpoint | undefined {
    const picked = this.#picker === undefined ? this.#list[0] : this.#picker.pick(nowMs);
    if (picked === undefined || (tried === undefined && mayUse === undefined)) return picked;
    const isGood = mayUse?.(picked) !== false;
    if (isGood && tried?.includes(picked) !== true) return picked;
    const usable = isGood || mayUse === undefined ? this.#list : this.#list.filter(mayUse);
    const other = usable.find(
      (candidate) => mayUse?.(candidate) !== false && tried?.includes(candidate) !== true,
    );
    return other ?? (isGood ? picked : usable[0]);
  }
}
