import type { DescMethod } from "@bufbuild/protobuf";
import type { EndpointChange, KnownEndpoint } from "../discovery/endpoint-list.ts";
import { EndpointWatch, type DiscoveryStats } from "../discovery/endpoint-watch.ts";
import type { Resolver } from "../discovery/resolver.ts";
import { Code, ConnectError } from "../errors/errors.ts";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import { countsOf, type UpstreamCounts } from "../http2/http2-counts.ts";
import type { CallHead, StreamSources } from "../http2/stream-source.ts";
import { systemClock } from "../time/clock.ts";
import { pickerOf, type Balance } from "./balance.ts";
import type { ClientBooks, CountedCluster, RpcBooks } from "./client-books.ts";
import { ClusterCall, type ClusterHost } from "./cluster-call.ts";
import {
  ConnectionPool,
  type EndpointState,
  type PooledConnection,
  type PoolOptions,
  type PoolParts,
} from "./connection-pool.ts";
import { ClusterEndpoint } from "./endpoint.ts";
import { EndpointLoad } from "./endpoint-load.ts";
import type { Picker } from "./picker.ts";

/** What a cluster is made of. */
export interface ClusterOptions {
  /** First word of its errors, and label of its metrics. */
  readonly name: string;
  readonly resolver: Resolver;
  /** Whether the endpoints never change. */
  readonly isFixed: boolean;
  /** How long the last endpoints stay after an empty answer, in milliseconds. */
  readonly staleMs: number;
  readonly balance: Balance;
  readonly pool: PoolOptions;
  /** Options of each connection. */
  readonly connection: MergedConnectionOptions;
  /** Most calls that wait for a stream. */
  readonly maxQueuedCalls: number;
  readonly books: ClientBooks;
}

/** The state of a cluster, in the words of a connection. */
export type ClusterState = "idle" | "connecting" | "ready" | "transient-failure" | "closed";

const systemParts: PoolParts = { clock: systemClock, random: Math.random };

/**
 * Pause between two changes of the candidates for each of them, in milliseconds: while thousands of endpoints are
 * connected, the picker does not begin anew with each of them. Endpoints that are lost meanwhile are passed over.
 */
const refreshPauseMs = 0.01;

/** Calls shorten the pauses of endpoints that fail, which are looked through once in this time, in milliseconds. */
const hastenEveryMs = 250;

/**
 * The endpoints of one target: it connects to all of them at the first call, sends each attempt to the one that the
 * policy picks, and holds calls while none can be reached yet.
 */
export class Cluster implements StreamSources, ClusterHost, CountedCluster {
  readonly name: string;
  readonly options: MergedConnectionOptions;
  readonly #given: ClusterOptions;
  readonly #parts: PoolParts;
  /** Undefined for `pick_first`. */
  readonly #picker: Picker<ClusterEndpoint> | undefined;
  readonly #rpcs = new Map<DescMethod, RpcBooks>();
  /** Calls that wait for an endpoint or for a stream, the oldest first. */
  readonly #waiting = new Set<ClusterCall>();
  /** Called at every change of endpoints or of their states. */
  readonly #watchers = new Set<() => void>();
  readonly #endpoints = new Map<string, ClusterEndpoint>();
  readonly #states: Record<EndpointState, number> = { idle: 0, connecting: 0, ready: 0, failing: 0 };
  /** Endpoints that are to be connected, in the order of their turns. */
  readonly #queue: ClusterEndpoint[] = [];
  /** Endpoints that calls can be sent to, as the picker knows them. */
  #candidates: readonly ClusterEndpoint[] = [];
  /** Whether the candidates have changed since the last pick. */
  #isStale = false;
  #refreshedMs = 0;
  /** Undefined while nothing is in use. */
  #watch: EndpointWatch | undefined;
  #isClosed = false;
  #inFlight = 0;
  #calls = 0;
  #usedMs = 0;
  #hastenedMs = Number.NEGATIVE_INFINITY;
  #cancelIdle: (() => void) | undefined;
  /** Calls of `ready()` that wait. */
  #readying = 0;
  readonly #counts: UpstreamCounts;
  readonly #closeBooks: () => void;

  constructor(options: ClusterOptions, parts: PoolParts = systemParts) {
    this.name = options.name;
    this.options = options.connection;
    this.#given = options;
    this.#parts = parts;
    this.#picker = pickerOf(options.balance, parts.random);
    this.#counts = countsOf(options.name);
    this.#closeBooks = options.books.open(this);
  }

  get state(): ClusterState {
    if (this.#isClosed) return "closed";
    if (this.#watch === undefined) return "idle";
    if (this.#states.ready > 0) return "ready";
    return this.#mayBecomeReady ? "connecting" : "transient-failure";
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Calls that have begun. */
  get calls(): number {
    return this.#calls;
  }

  /** Calls that wait for an endpoint or for a stream. */
  get queued(): number {
    return this.#waiting.size;
  }

  get connections(): number {
    let count = 0;
    for (const { pool } of this.#endpoints.values()) {
      for (const { connection } of pool.connections) if (connection.state === "ready") count++;
    }
    return count;
  }

  get endpoints(): ReadonlyMap<EndpointState, number> {
    return new Map(Object.entries(this.#states) as [EndpointState, number][]); // Its own keys.
  }

  /** How the endpoints are found; undefined if they are fixed, and while nothing is in use. */
  get discovery(): DiscoveryStats | undefined {
    return this.#given.isFixed ? undefined : this.#watch?.stats;
  }

  /** The endpoints, in the order in which they were found. */
  get members(): readonly ClusterEndpoint[] {
    return [...this.#endpoints.values()];
  }

  nowMs(): number {
    return this.#parts.clock.nowMs();
  }

  count(change: 1 | -1): void {
    this.#inFlight += change;
  }

  sourceOf({ method }: CallHead): ClusterCall {
    let books = this.#rpcs.get(method);
    if (books === undefined) this.#rpcs.set(method, (books = this.#given.books.rpc(this.name, method)));
    this.#calls++;
    return new ClusterCall(this, books, method.methodKind === "unary");
  }

  place(call: ClusterCall): void {
    const nowMs = this.nowMs();
    this.#usedMs = nowMs;
    call.startedMs ??= nowMs;
    if (this.#isClosed) {
      call.refuse(this.#closedError());
      return;
    }
    if (this.#watch === undefined) this.#start();
    if (this.#states.failing > 0) this.#hasten(nowMs);
    if (this.#waiting.size === 0 && this.#send(call, nowMs)) return;
    const refusal = this.#refusal();
    if (refusal === undefined) {
      this.#waiting.add(call);
      this.#counts.queued++;
    } else {
      this.#refuse(call, refusal);
    }
  }

  forget(call: ClusterCall): void {
    if (this.#waiting.delete(call)) this.#counts.queued--;
  }

  /** Calls `fn` at every change of endpoints or of their states. @returns a function that ends that */
  onChange(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  /**
   * Connects and resolves as soon as calls can be made.
   *
   * @throws ConnectError UNAVAILABLE if `signal` fires before, or the cluster is closed.
   */
  ready(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      // While endpoints fail, nothing else keeps the process for the promise.
      const hold = setInterval(() => this.#hasten(this.nowMs()), 2 * hastenEveryMs);
      this.#readying++;
      const settle = (): void => {
        this.#readying--;
        clearInterval(hold);
        this.#watchers.delete(check);
        signal?.removeEventListener("abort", aborted);
      };
      const aborted = (): void => {
        settle();
        const text = `${this.name}: not connected in time`;
        reject(new ConnectError(text, Code.Unavailable, undefined, undefined, signal?.reason));
      };
      const check = (): void => {
        const { state } = this;
        if (state !== "ready" && state !== "closed") return;
        settle();
        if (state === "ready") resolve();
        else reject(this.#closedError());
      };
      if (signal?.aborted === true) {
        aborted();
        return;
      }
      signal?.addEventListener("abort", aborted, { once: true });
      this.#watchers.add(check);
      this.#usedMs = this.nowMs();
      if (this.#watch === undefined && !this.#isClosed) this.#start();
      check();
    });
  }

  /** Calls in flight are completed, new ones are UNAVAILABLE. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeBooks();
    this.#sleep("removed");
    this.#refuseWaiting(this.#closedError());
    this.#notify();
  }

  /** Begins to find endpoints and to connect. */
  #start(): void {
    this.#usedMs = this.nowMs();
    this.#watchIdle(this.#given.pool.idleTimeoutMs);
    // A resolver may answer before the constructor is over.
    let isMade = false;
    const before: EndpointChange[] = [];
    const { resolver, isFixed, staleMs, books } = this.#given;
    this.#watch = new EndpointWatch(resolver, {
      staleMs,
      clock: this.#parts.clock,
      onLook: (result) => {
        if (!isFixed) books.looked(this.name, result);
      },
      onChange: (change) => {
        if (isMade) this.#update(change);
        else before.push(change);
      },
      onFailure: () => this.#changed(),
    });
    isMade = true;
    for (const change of before) this.#update(change);
  }

  /** Ends all connections until the next call. */
  #sleep(reason: "idle" | "removed"): void {
    this.#cancelIdle?.();
    this.#watch?.close();
    this.#watch = undefined;
    for (const endpoint of this.#endpoints.values()) this.#drop(endpoint, reason);
    this.#queue.length = 0;
    this.#refresh(this.nowMs());
  }

  #watchIdle(afterMs: number): void {
    this.#cancelIdle = this.#parts.clock.after(
      Math.min(afterMs, 2 ** 31 - 1),
      () => {
        const { idleTimeoutMs } = this.#given.pool;
        const leftMs = this.#usedMs + idleTimeoutMs - this.nowMs();
        const isUsed = this.#inFlight + this.#waiting.size + this.#readying > 0;
        if (leftMs <= 0 && !isUsed) {
          this.#sleep("idle");
          this.#notify();
          return;
        }
        for (const { pool } of this.#endpoints.values()) pool.sweep();
        this.#watchIdle(leftMs > 0 ? leftMs : idleTimeoutMs);
      },
      false,
    );
  }

  /** What stays keeps its connections and figures; what goes gets no new calls. */
  #update({ added, removed, changed }: EndpointChange): void {
    for (const { address } of removed) {
      const endpoint = this.#endpoints.get(address);
      if (endpoint !== undefined) this.#drop(endpoint, "removed");
    }
    for (const known of changed) {
      const endpoint = this.#endpoints.get(known.address);
      if (endpoint !== undefined) endpoint.known = known;
    }
    for (const known of added) this.#add(known);
    this.#refresh(this.nowMs());
    this.#enqueue(this.#endpoints.values());
    this.#changed();
  }

  #add(known: KnownEndpoint): void {
    const { pool: poolOptions, connection } = this.#given;
    const pool = new ConnectionPool(
      known.address,
      this.name,
      poolOptions,
      connection,
      {
        changed: () => this.#endpointChanged(endpoint),
        roomMade: () => this.#sendWaiting(),
        closed: (reason) => this.#given.books.closed(this.name, reason),
      },
      this.#parts,
    );
    const endpoint = new ClusterEndpoint(known, pool, new EndpointLoad(this.nowMs()));
    this.#endpoints.set(known.address, endpoint);
    this.#states.idle++;
  }

  #drop(endpoint: ClusterEndpoint, reason: "idle" | "removed"): void {
    this.#endpoints.delete(endpoint.known.address);
    this.#states[endpoint.state]--;
    endpoint.isGone = true;
    endpoint.pool.close(reason);
  }

  #endpointChanged(endpoint: ClusterEndpoint): void {
    if (endpoint.isGone) return;
    const { state } = endpoint.pool;
    if (state !== endpoint.state) {
      this.#states[endpoint.state]--;
      this.#states[state]++;
      if (state === "ready" || endpoint.state === "ready") this.#isStale = true;
      endpoint.state = state;
      if (state === "failing") this.#watch?.refresh();
    }
    if (state === "idle") this.#enqueue([endpoint]);
    this.#changed();
  }

  /** After any change: connects what has its turn, and looks after the calls that wait. */
  #changed(): void {
    this.#connect();
    this.#sendWaiting();
    if (this.#waiting.size > 0 && !this.#mayBecomeReady && this.#states.ready === 0) {
      const refusal = this.#refusal();
      if (refusal !== undefined) this.#refuseWaiting(refusal);
    }
    this.#notify();
  }

  /** Endpoints are connected in an order by chance, so that clients do not all begin with the same one. */
  #enqueue(endpoints: Iterable<ClusterEndpoint>): void {
    for (const endpoint of endpoints) {
      if (endpoint.isQueued || endpoint.weight === 0 || endpoint.state !== "idle") continue;
      endpoint.isQueued = true;
      const place = Math.floor(this.#parts.random() * (this.#queue.length + 1));
      const other = this.#queue[place] ?? endpoint;
      this.#queue[place] = endpoint;
      if (other !== endpoint) this.#queue.push(other);
    }
  }

  #connect(): void {
    const most = this.#picker === undefined ? 1 : this.#given.pool.atOnce;
    while (this.#states.connecting < most) {
      if (this.#picker === undefined && this.#states.ready > 0) return;
      const endpoint = this.#takeNext();
      if (endpoint === undefined) return;
      endpoint.isQueued = false;
      if (!endpoint.isGone && endpoint.state === "idle") endpoint.pool.connect();
    }
  }

  /** The endpoint whose turn it is to be connected; for `pick_first` the first of the list. */
  #takeNext(): ClusterEndpoint | undefined {
    if (this.#picker !== undefined) return this.#queue.pop();
    const first = this.members.find(({ isQueued }) => isQueued) ?? this.#queue[0];
    if (first !== undefined) this.#queue.splice(this.#queue.indexOf(first), 1);
    return first;
  }

  #hasten(nowMs: number): void {
    if (nowMs - this.#hastenedMs < hastenEveryMs) return;
    this.#hastenedMs = nowMs;
    for (const { state, pool } of this.#endpoints.values()) if (state === "failing") pool.connect();
  }

  /** Whether a call that finds no endpoint can wait for one. */
  get #mayBecomeReady(): boolean {
    if (this.#watch?.resolution.kind === "waiting") return true;
    return (
      this.#states.connecting > 0 || this.#queue.some(({ state, isGone }) => state === "idle" && !isGone)
    );
  }

  /** Sends a call to an endpoint, if one has room for it. */
  #send(call: ClusterCall, nowMs: number): boolean {
    if (this.#isStale && nowMs - this.#refreshedMs >= this.#candidates.length * refreshPauseMs) {
      this.#refresh(nowMs);
    }
    const endpoint = this.#pick(call.tried, nowMs);
    if (endpoint === undefined) return false;
    const pooled = endpoint.pool.withRoom();
    if (pooled !== undefined) {
      this.#begin(call, endpoint, pooled, nowMs);
      return true;
    }
    const { length } = this.#candidates;
    const first = Math.floor(this.#parts.random() * length);
    for (let step = 0; step < length; step++) {
      const other = this.#candidates[(first + step) % length];
      const otherPooled = other?.pool.withRoom();
      if (other === undefined || otherPooled === undefined) continue;
      this.#begin(call, other, otherPooled, nowMs);
      return true;
    }
    endpoint.pool.grow();
    return false;
  }

  #begin(call: ClusterCall, endpoint: ClusterEndpoint, pooled: PooledConnection, nowMs: number): void {
    this.forget(call); // First: what follows may send further calls that wait.
    call.start(endpoint, pooled, nowMs);
  }

  #refresh(nowMs: number): void {
    this.#isStale = false;
    this.#refreshedMs = nowMs;
    this.#candidates = this.members.filter(({ state, weight }) => state === "ready" && weight > 0);
    if (this.#picker === undefined) this.#candidates = this.#candidates.slice(0, 1);
    this.#picker?.update(this.#candidates, nowMs);
  }

  /** An endpoint that the call has not tried yet, if there is one. */
  #pick(tried: readonly ClusterEndpoint[] | undefined, nowMs: number): ClusterEndpoint | undefined {
    const picked = this.#picker === undefined ? this.#candidates[0] : this.#picker.pick(nowMs);
    if (picked === undefined || tried === undefined || !tried.includes(picked)) return picked;
    return this.#candidates.find((candidate) => !tried.includes(candidate)) ?? picked;
  }

  #sendWaiting(): void {
    if (this.#waiting.size === 0) return;
    const nowMs = this.nowMs();
    for (const call of this.#waiting) if (!this.#send(call, nowMs)) return;
  }

  /** Why a call cannot wait; undefined if it can. */
  #refusal(): ConnectError | undefined {
    if (this.#states.ready > 0 || this.#mayBecomeReady) {
      if (this.#waiting.size < this.#given.maxQueuedCalls) return undefined;
      return unavailable(`${this.name}: ${this.#waiting.size} calls wait for a stream`);
    }
    const usable = this.members.filter(({ weight }) => weight > 0);
    if (usable.length === 0) return this.#watch?.noEndpoint(this.name) ?? this.#closedError();
    const count = usable.length === 1 ? "its only endpoint is not" : `none of ${usable.length} endpoints is`;
    return unavailable(`${this.name}: ${count} reachable`, causeOf(usable));
  }

  #refuseWaiting(error: ConnectError): void {
    const calls = [...this.#waiting];
    for (const call of calls) this.forget(call);
    for (const call of calls) this.#refuse(call, error);
  }

  #refuse(call: ClusterCall, error: ConnectError): void {
    this.#given.books.rejected(this.name, "no_endpoint");
    call.refuse(error);
  }

  #closedError(): ConnectError {
    return unavailable(`${this.name}: the client is closed`);
  }

  #notify(): void {
    for (const fn of [...this.#watchers]) fn();
  }
}

/** The addresses are for the log: the texts of errors may reach strangers. */
function causeOf(endpoints: readonly ClusterEndpoint[]): Error | undefined {
  const texts = endpoints.flatMap(({ known, pool }) =>
    pool.failure === undefined ? [] : [`${known.address}: ${pool.failure.rawMessage}`],
  );
  const more = texts.length > 3 ? `, and ${texts.length - 3} more` : "";
  return texts.length === 0 ? undefined : new Error(texts.slice(0, 3).join("; ") + more);
}

function unavailable(text: string, cause?: unknown): ConnectError {
  return new ConnectError(text, Code.Unavailable, undefined, undefined, cause);
}
