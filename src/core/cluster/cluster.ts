import { notify } from "../call/observer.ts";
import type { EndpointChange } from "../discovery/endpoint-list.ts";
import type { DiscoveryStats, EndpointWatch, LookResult } from "../discovery/endpoint-watch.ts";
import type { ConnectError } from "../errors/errors.ts";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import type { CallHead, StreamSource, StreamSources } from "../http2/stream-source.ts";
import { ReplayMemory } from "../resilience/replay-buffer.ts";
import { RetryBudget } from "../resilience/retry-budget.ts";
import { RetryTokens } from "../resilience/retry-tokens.ts";
import { pickerOf } from "./balance.ts";
import { CallPolicies } from "./call-policies.ts";
import { Candidates } from "./candidates.ts";
import type { AttemptKind, CountedCluster } from "./client-books.ts";
import { ClusterCalls, type CalledEndpoints } from "./cluster-calls.ts";
import { systemParts, type ClusterOptions, type ClusterState } from "./cluster-options.ts";
import { ConnectTurns } from "./connect-turns.ts";
import type { PoolParts } from "./connection-pool.ts";
import type { ClusterEndpoint, EndpointState } from "./endpoint.ts";
import { IdleTimer } from "./idle-timer.ts";
import { Members } from "./members.ts";
import { openWatch } from "./open-watch.ts";
import type { Picker } from "./picker.ts";
import { closedError, unreachableError } from "./refusals.ts";
import { Selection } from "./selection.ts";
import { Spread } from "./spread.ts";
import { untilReady, type AwaitedCluster } from "./until-ready.ts";

/**
 * The endpoints of one target: it connects to all of them at the first call, sends each attempt to the one that the
 * policy picks, and holds calls while none can be reached yet.
 *
 * `Members` are the endpoints, `ConnectTurns` the order in which they are connected, `Candidates` the choice among those
 * that can be called, `ClusterCalls` the calls with their wait.
 */
export class Cluster implements StreamSources, CalledEndpoints, AwaitedCluster, CountedCluster {
  readonly name: string;
  readonly options: MergedConnectionOptions;
  readonly #given: ClusterOptions;
  readonly #parts: PoolParts;
  /** Undefined if all endpoints are used. */
  readonly #selection: Selection | undefined;
  readonly #members: Members;
  readonly #turns: ConnectTurns;
  readonly #candidates: Candidates;
  readonly #policies: CallPolicies;
  readonly #calls: ClusterCalls;
  readonly #idle: IdleTimer;
  /** Called at every change of endpoints or of their states. */
  readonly #watchers = new Set<() => void>();
  /** Undefined while nothing is in use. */
  #watch: EndpointWatch | undefined;
  #isClosed = false;
  /** Calls of `ready()` that wait. */
  #readying = 0;
  readonly #closeBooks: () => void;

  constructor(options: ClusterOptions, parts: PoolParts = systemParts) {
    const { name, pool, books } = options;
    const { clock, random } = parts;
    this.name = name;
    this.options = options.connection;
    this.#given = options;
    this.#parts = parts;
    this.#selection = selectionOf(options, random);
    this.#members = new Members(options, parts, {
      endpointChanged: (endpoint, before) => this.#endpointChanged(endpoint, before),
      roomMade: () => this.#calls.sendWaiting(),
    });
    const zone = options.zoneMode === "prefer" ? options.zone : undefined;
    const turns = { atOnce: pool.atOnce, oneIsEnough: options.balance.policy === "pick_first", zone };
    this.#turns = new ConnectTurns(this.#members, turns, random);
    this.#candidates = new Candidates(this.#members, this.#makePicker(options, zone), random);
    this.#policies = new CallPolicies(options.plans, {
      name,
      clock,
      random,
      books,
      budget:
        options.retryTokens === undefined
          ? new RetryBudget(options.retryBudget)
          : new RetryTokens(options.retryTokens),
      memory: new ReplayMemory(),
      observers: options.observers ?? [],
    });
    this.#calls = new ClusterCalls(options, this.#policies, this.#candidates, this);
    this.#idle = new IdleTimer(clock, pool.idleTimeoutMs, {
      isBusy: () => this.inFlight + this.queued + this.#readying > 0,
      idle: () => {
        this.#sleep("idle");
        this.#notify();
      },
      sweep: () => this.#members.sweep(),
    });
    this.#closeBooks = books.open(this);
  }

  get state(): ClusterState {
    if (this.#isClosed) return "closed";
    if (this.#watch === undefined) return "idle";
    if (this.#canCall) return "ready";
    return this.#mayBecomeReady ? "connecting" : "transient-failure";
  }

  get inFlight(): number {
    return this.#calls.inFlight;
  }

  /** Calls that have begun. */
  get calls(): number {
    return this.#calls.begun;
  }

  /** Attempts that have begun, by their kind. */
  get attempts(): Readonly<Record<AttemptKind, number>> {
    return this.#calls.attempts;
  }

  /** Calls that wait for an endpoint or for a stream. */
  get queued(): number {
    return this.#calls.waiting;
  }

  get connections(): number {
    return this.#members.connections;
  }

  get endpoints(): ReadonlyMap<EndpointState, number> {
    return new Map(Object.entries(this.#members.states) as [EndpointState, number][]); // Its own keys.
  }

  get breakerStates(): ReadonlyMap<string, number> {
    return this.#policies.breakerStates;
  }

  /** How calls are made, and what they share. */
  get policies(): CallPolicies {
    return this.#policies;
  }

  /** How the endpoints are found; undefined if they are fixed, and while nothing is in use. */
  get discovery(): DiscoveryStats | undefined {
    return this.#given.isFixed ? undefined : this.#watch?.stats;
  }

  /** The endpoints, in the order in which they were found. */
  get members(): readonly ClusterEndpoint[] {
    return [...this.#members.all];
  }

  /** The time by the clock of its figures, in milliseconds. */
  nowMs(): number {
    return this.#parts.clock.nowMs();
  }

  sourceOf(head: CallHead): StreamSource {
    return this.#calls.make(head);
  }

  use(nowMs: number): ConnectError | undefined {
    this.#idle.used(nowMs);
    if (this.#isClosed) return closedError(this.name);
    if (this.#watch === undefined) this.#start();
    if (this.#members.states.failing > 0) this.#turns.hasten(nowMs);
    return undefined;
  }

  get outage(): ConnectError | undefined {
    if (this.#canCall || this.#mayBecomeReady) return undefined;
    const usable = this.members.filter(({ weight }) => weight > 0);
    if (usable.length > 0) return unreachableError(this.name, usable);
    return this.#watch?.noEndpoint(this.name) ?? closedError(this.name);
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
  async ready(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted !== true) {
      this.#idle.used(this.nowMs());
      if (this.#watch === undefined && !this.#isClosed) this.#start();
    }
    this.#readying++;
    try {
      await untilReady(this, signal);
    } finally {
      this.#readying--;
    }
  }

  hasten(): void {
    this.#turns.hasten(this.nowMs());
  }

  /** Calls in flight are completed, new ones are UNAVAILABLE. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeBooks();
    this.#sleep("removed");
    this.#calls.refuseWaiting(closedError(this.name));
    this.#notify();
  }

  /** Begins to find endpoints and to connect. */
  #start(): void {
    this.#idle.start();
    const { resolver, isFixed, staleMs, books } = this.#given;
    const options = {
      staleMs,
      clock: this.#parts.clock,
      onLook: (result: LookResult) => {
        if (!isFixed) books.looked(this.name, result);
      },
      onChange: (change: EndpointChange) => this.#update(change),
      onFailure: () => this.#changed(),
    };
    openWatch(resolver, options, (watch) => (this.#watch = watch));
  }

  /** Ends all connections until the next call. */
  #sleep(reason: "idle" | "removed"): void {
    this.#idle.stop();
    this.#watch?.close();
    this.#watch = undefined;
    this.#selection?.clear();
    this.#members.clear(reason);
    this.#turns.clear();
    this.#candidates.refresh(this.nowMs());
  }

  #update(change: EndpointChange): void {
    this.#members.update(this.#selection?.next(change) ?? change);
    this.#candidates.refresh(this.nowMs());
    this.#turns.add(this.#members.all);
    this.#changed();
  }

  #endpointChanged(endpoint: ClusterEndpoint, before: EndpointState): void {
    const { state } = endpoint;
    if (state !== before) {
      if (isCallable(state) || isCallable(before)) this.#candidates.invalidate();
      if (state === "failing") this.#watch?.refresh();
      this.#report(endpoint, before);
    }
    if (state === "idle") this.#turns.add([endpoint]);
    this.#changed();
  }

  #report({ known, state }: ClusterEndpoint, before: EndpointState): void {
    const { observers = [] } = this.#given;
    if (observers.length === 0) return;
    const event = { upstream: this.name, endpoint: known.address, state, before };
    notify(observers, (observer) => observer.endpointChanged?.(event));
  }

  /** After any change: connects what has its turn, and looks after the calls that wait. */
  #changed(): void {
    this.#turns.connect();
    this.#calls.changed();
    this.#notify();
  }

  /** Whether an endpoint can be called: one that is ready, or else an ejected one. */
  get #canCall(): boolean {
    const { ready, ejected } = this.#members.states;
    return ready + ejected > 0;
  }

  /** Whether a call that finds no endpoint can wait for one. */
  get #mayBecomeReady(): boolean {
    if (this.#watch?.resolution.kind === "waiting") return true;
    return this.#members.states.connecting > 0 || this.#turns.hasWaiting;
  }

  #makePicker({ balance }: ClusterOptions, zone: string | undefined): Picker<ClusterEndpoint> {
    const { random } = this.#parts;
    const meanInFlight = (): number => (this.inFlight + 1) / this.#candidates.size;
    const make = (): Picker<ClusterEndpoint> => pickerOf(balance, { random, meanInFlight });
    return balance.policy === "pick_first" ? make() : new Spread(make, random, zone);
  }

  #notify(): void {
    for (const fn of [...this.#watchers]) fn();
  }
}

function isCallable(state: EndpointState): boolean {
  return state === "ready" || state === "ejected";
}

function selectionOf(
  { subset = 0, zone, zoneMode }: ClusterOptions,
  random: () => number,
): Selection | undefined {
  const hinted = zoneMode === "hints" ? zone : undefined;
  if (subset === 0 && hinted === undefined) return undefined;
  return new Selection({ subset, seed: Math.floor(random() * 2 ** 32), zone: hinted });
}
