import type { PooledConnection } from "./connection-pool.ts";
import type { ClusterEndpoint } from "./endpoint.ts";
import type { Members } from "./members.ts";
import type { Picker } from "./picker.ts";

/** What a call asks of its endpoint. */
export interface PickRequest {
  /** Endpoints of attempts before, which are avoided while there are others. */
  readonly tried: readonly ClusterEndpoint[] | undefined;
  /** Hash of what the call belongs to; undefined for nothing. */
  readonly key: number | undefined;
  /** Whether the call may go to an endpoint that could be picked; one that it may not use gets no attempt. Default: to any. */
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
  readonly #picker: Picker<ClusterEndpoint>;
  readonly #random: () => number;
  #list: readonly ClusterEndpoint[] = [];
  /** The state of all of them: ejected ones are used if there are no others. */
  #state: "ready" | "ejected" = "ready";
  /** Whether the endpoints have changed since the last refresh. */
  #isStale = false;
  #refreshedMs = 0;
  /** When the weights of new endpoints change next. */
  #nextStepMs = Infinity;

  /** @param random returns numbers from 0 to 1, without 1 */
  constructor(members: Members, picker: Picker<ClusterEndpoint>, random: () => number) {
    this.#members = members;
    this.#picker = picker;
    this.#random = random;
  }

  /** The endpoints that can be picked. */
  get all(): readonly ClusterEndpoint[] {
    return this.#list;
  }

  /** Whether the call may go to an endpoint that it has not tried. */
  hasUntried(request: PickRequest): boolean {
    return this.#list.some((endpoint) => mayUse(request, endpoint));
  }

  /** How many there are. */
  get size(): number {
    return this.#list.length;
  }

  /** Endpoints have become pickable, or are not any more. */
  invalidate(): void {
    this.#isStale = true;
  }

  /** Reads the endpoints anew. */
  refresh(nowMs: number): void {
    this.#isStale = false;
    this.#refreshedMs = nowMs;
    this.#nextStepMs = Infinity;
    const all: ClusterEndpoint[] = [];
    for (const endpoint of this.#members.all) {
      if (endpoint.ramp !== undefined) this.#step(endpoint, endpoint.ramp.stepMs, nowMs);
      if (endpoint.weight > 0) all.push(endpoint);
    }
    this.#state = this.#members.states.ready > 0 ? "ready" : "ejected";
    this.#list = all.filter(({ state }) => state === this.#state);
    this.#picker.update(this.#list, nowMs, all);
  }

  /**
   * An endpoint for a call, with a connection that has room for a stream. If the endpoint that is picked has none, any
   * other one that has.
   *
   * @returns undefined if there is no candidate, or none has room; then another connection is on its way
   */
  place(request: PickRequest, nowMs: number): Place | undefined {
    if (nowMs >= this.#nextStepMs) this.#isStale = true;
    if (this.#isStale && nowMs - this.#refreshedMs >= this.#list.length * refreshPauseMs) this.refresh(nowMs);
    const picked = this.#picker.pick(nowMs, request.key);
    if (picked !== undefined && picked.state === this.#state && mayUse(request, picked)) {
      const pooled = picked.pool.withRoom();
      if (pooled !== undefined) return { endpoint: picked, pooled };
    }
    const other = this.#other(request);
    if (other !== undefined || !this.#isStale) return other;
    this.refresh(nowMs); // The candidates are not what they were.
    return this.#other(request);
  }

  /** Any endpoint with room; one that the call has tried only if there is no other. */
  #other(request: PickRequest): Place | undefined {
    const { length } = this.#list;
    const first = Math.floor(this.#random() * length);
    let tried: Place | undefined;
    let full: ClusterEndpoint | undefined;
    for (let step = 0; step < length; step++) {
      const endpoint = this.#list[(first + step) % length];
      if (endpoint?.state !== this.#state || request.mayUse?.(endpoint) === false) continue;
      const pooled = endpoint.pool.withRoom();
      if (pooled === undefined) full ??= endpoint;
      else if (request.tried?.includes(endpoint) === true) tried ??= { endpoint, pooled };
      else return { endpoint, pooled };
    }
    if (tried === undefined) full?.pool.grow();
    return tried;
  }

  #step(endpoint: ClusterEndpoint, stepMs: number, nowMs: number): void {
    endpoint.updateWeight(nowMs);
    this.#nextStepMs = Math.min(this.#nextStepMs, nowMs + stepMs);
  }
}

function mayUse({ tried, mayUse: isGood }: PickRequest, endpoint: ClusterEndpoint): boolean {
  return tried?.includes(endpoint) !== true && isGood?.(endpoint) !== false;
}
