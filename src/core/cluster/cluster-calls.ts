import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectError } from "../errors/errors.ts";
import { countsOf } from "../http2/http2-counts.ts";
import type { CallHead } from "../http2/stream-source.ts";
import type { Clock } from "../time/clock.ts";
import type { Candidates } from "./candidates.ts";
import type { RpcBooks } from "./client-books.ts";
import { ClusterCall, type ClusterHost } from "./cluster-call.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import { HashKeys } from "./hash-key.ts";
import { fullError } from "./refusals.ts";
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
  readonly #options: ClusterOptions;
  readonly #clock: Clock;
  readonly #candidates: Candidates;
  readonly #endpoints: CalledEndpoints;
  readonly #rpcs = new Map<DescMethod, RpcBooks>();
  readonly #waiting: WaitingCalls;
  /** Undefined for policies without keys. */
  readonly #keys: HashKeys | undefined;

  constructor(options: ClusterOptions, clock: Clock, candidates: Candidates, endpoints: CalledEndpoints) {
    this.#options = options;
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

  count(change: 1 | -1): void {
    this.inFlight += change;
  }

  make(head: CallHead): ClusterCall {
    const { method } = head;
    const { books, name } = this.#options;
    let rpc = this.#rpcs.get(method);
    if (rpc === undefined) this.#rpcs.set(method, (rpc = books.rpc(name, method)));
    this.begun++;
    const call = new ClusterCall(this, rpc, method.methodKind === "unary");
    const keys = this.#keys;
    if (keys !== undefined) call.keyOf = (attempted) => keys.of(head, attempted);
    return call;
  }

  place(call: ClusterCall): void {
    const nowMs = this.nowMs();
    call.startedMs ??= nowMs;
    const closed = this.#endpoints.use(nowMs);
    if (closed !== undefined) {
      call.refuse(closed);
      return;
    }
    if (this.#waiting.size === 0 && this.#send(call, nowMs)) return;
    const refusal = this.#endpoints.outage ?? this.#full;
    if (refusal === undefined) this.#waiting.add(call);
    else this.#refuse(call, refusal);
  }

  forget(call: ClusterCall): void {
    this.#waiting.delete(call);
  }

  /** Endpoints or connections have changed: begins what waits, or refuses it. */
  changed(): void {
    this.sendWaiting();
    if (this.#waiting.size === 0) return;
    const { outage } = this.#endpoints;
    if (outage !== undefined) this.refuseWaiting(outage);
  }

  /** Begins what waits, as far as there is room. */
  sendWaiting(): void {
    if (this.#waiting.size === 0) return;
    const nowMs = this.nowMs();
    this.#waiting.send((call) => this.#send(call, nowMs));
  }

  /** Ends the wait of all calls. */
  refuseWaiting(error: ConnectError): void {
    this.#waiting.refuse(error, (call) => this.#refuse(call, error));
  }

  /** Sends a call to an endpoint, if one has room for it. */
  #send(call: ClusterCall, nowMs: number): boolean {
    const place = this.#candidates.place(call, nowMs);
    if (place === undefined) return false;
    this.forget(call); // First: what follows may send further calls that wait.
    call.start(place.endpoint, place.pooled, nowMs);
    return true;
  }

  get #full(): ConnectError | undefined {
    const { name, maxQueuedCalls } = this.#options;
    return this.#waiting.size < maxQueuedCalls ? undefined : fullError(name, this.#waiting.size);
  }

  #refuse(call: ClusterCall, error: ConnectError): void {
    this.#options.books.rejected(this.#options.name, "no_endpoint");
    call.refuse(error);
  }
}
