import type { ConnectError } from "../errors/errors.ts";
import { countsOf } from "../http2/http2-counts.ts";
import type { CallHead, StreamSource } from "../http2/stream-source.ts";
import type { Clock } from "../time/clock.ts";
import type { Candidates, PickRequest } from "./candidates.ts";
import type { CallPolicies } from "./call-policies.ts";
import type { CalledRpc } from "./called-rpc.ts";
import type { AttemptKind } from "./client-books.ts";
import { ClusterCall, type ClusterHost } from "./cluster-call.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import { HashKeys } from "./hash-key.ts";
import { fullError } from "./refusals.ts";
import { RefusedCall } from "./refused-call.ts";
import { WaitingCalls } from "./waiting-calls.ts";

/** The endpoints behind the calls, as `ClusterCalls` sees them. */
export interface CalledEndpoints {
  /** A call is made: connects, if nothing is connected. @returns an error after the end of the client */
  use(nowMs: number): ConnectError | undefined;
  /** Why a call that finds no place cannot wait for one; undefined if it can. */
  readonly outage: ConnectError | undefined;
}

/** The calls of a cluster: they begin on an endpoint, or wait for one, or are refused. */
export class ClusterCalls implements ClusterHost {
  /** Calls that have begun. */
  begun = 0;
  /** Attempts in progress. */
  inFlight = 0;
  /** Attempts that have begun. */
  readonly attempts: Record<AttemptKind, number> = { first: 0, transparent: 0, retry: 0, hedge: 0 };
  readonly #options: ClusterOptions;
  readonly #clock: Clock;
  readonly #candidates: Candidates;
  readonly #endpoints: CalledEndpoints;
  readonly #policies: CallPolicies;
  readonly #waiting: WaitingCalls;
  /** Undefined for policies without keys. */
  readonly #keys: HashKeys | undefined;

  constructor(
    options: ClusterOptions,
    policies: CallPolicies,
    candidates: Candidates,
    endpoints: CalledEndpoints,
  ) {
    const { clock } = policies.share;
    this.#options = options;
    this.#policies = policies;
    this.#clock = clock;
    this.#candidates = candidates;
    this.#endpoints = endpoints;
    this.#waiting = new WaitingCalls(countsOf(options.name));
    if (options.balance.policy === "hash") this.#keys = new HashKeys(options.balance);
  }

  /** Calls that wait for an endpoint or for a stream. */
  get waiting(): number {
    return this.#waiting.size;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  began(kind: AttemptKind): void {
    this.inFlight++;
    this.attempts[kind]++;
  }

  ended(): void {
    this.inFlight--;
  }

  make(head: CallHead): StreamSource {
    let rpc: CalledRpc;
    try {
      rpc = this.#policies.of(head.method);
    } catch (error) {
      return new RefusedCall(this.#options.name, error);
    }
    this.begun++;
    const call = new ClusterCall(this, rpc, head);
    const keys = this.#keys;
    if (keys !== undefined) call.keyOf = (attempted) => keys.of(head, attempted);
    return call;
  }

  place(call: ClusterCall): void {
    const nowMs = this.nowMs();
    if (call.startedMs === undefined) {
      call.startedMs = nowMs;
      call.rpc.share.budget.began(nowMs);
    }
    const closed = this.#endpoints.use(nowMs);
    if (closed !== undefined) {
      call.refuse(closed);
      return;
    }
    if (this.#waiting.size === 0 && this.#send(call, nowMs)) return;
    const { outage } = this.#endpoints;
    const full = this.#full;
    if (outage !== undefined && !call.rpc.waitForReady) call.unplaced(outage);
    else if (full === undefined) this.#waiting.add(call);
    else call.unplaced(full);
  }

  hasUntried(request: PickRequest): boolean {
    return this.#candidates.hasUntried(request);
  }

  forget(call: ClusterCall): void {
    this.#waiting.delete(call);
  }

  /** Endpoints or connections have changed: begins what waits, or refuses it. */
  changed(): void {
    this.sendWaiting();
    if (this.#waiting.size === 0) return;
    const { outage } = this.#endpoints;
    if (outage === undefined) return;
    for (const call of this.#waiting.take(({ rpc }) => !rpc.waitForReady)) call.unplaced(outage);
  }

  /** Begins what waits, as far as there is room. */
  sendWaiting(): void {
    if (this.#waiting.size === 0) return;
    const nowMs = this.nowMs();
    this.#waiting.send((call) => this.#send(call, nowMs));
  }

  /** Ends the wait of all calls. */
  refuseWaiting(error: ConnectError): void {
    for (const call of this.#waiting.take(() => true)) call.refuse(error);
  }

  /** Sends a call to an endpoint, if one has room for it. */
  #send(call: ClusterCall, nowMs: number): boolean {
    const place = this.#candidates.place(call, nowMs);
    if (place === undefined) return this.#refuseOpen(call);
    this.forget(call); // First: what follows may send further calls that wait.
    call.start(place.endpoint, place.pooled, nowMs);
    return true;
  }

  get #full(): ConnectError | undefined {
    const { name, maxQueuedCalls } = this.#options;
    return this.#waiting.size < maxQueuedCalls ? undefined : fullError(name, this.#waiting.size);
  }

  /** A call whose breakers refuse it on all endpoints does not wait. */
  #refuseOpen(call: ClusterCall): boolean {
    const error = call.rpc.limits.endpointBreakers?.refusal(this.#candidates.all);
    if (error === undefined) return false;
    this.forget(call);
    call.refuseOpen(error);
    return true;
  }
}
