import type { DescService } from "@bufbuild/protobuf";
import type { MessageAdminService } from "../../gen/ts_ms/messaging/v1/admin_pb.ts";
import { Admission } from "../core/admission/admission.ts";
import { ClientAddresses } from "../core/admission/client-address.ts";
import { FaultLog } from "../core/call/fault-log.ts";
import { interceptInvoker, type Invoker } from "../core/call/invoker.ts";
import { observeInvoker } from "../core/call/observe-invoker.ts";
import { checkProtobufCopy } from "../core/call/protobuf-copy.ts";
import type { AnyService, Service } from "../core/call/service.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
  sumOfReports,
} from "../core/lifecycle/lifecycle.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { Pauses } from "../core/time/pauses.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import { upstreamInvoker, type Upstream } from "../core/upstream/upstream.ts";
import { type MessageAdminOptions, messageAdminService } from "./admin-service.ts";
import type { ConsumeOverride } from "./consume-settings.ts";
import { checkConsumed, type ConsumedRpc, consumedRpcs } from "./contract.ts";
import { DeadLetters, type DeadSelection } from "./dead-letter-box.ts";
import { MessageMetadata } from "./message-metadata.ts";
import {
  type GivenMessageOptions,
  mergeMessageOptions,
  type MessageServerOptions,
} from "./message-server-options.ts";
import { Subscription } from "./subscription.ts";
import { type MetricsPage, SubscriptionMetrics } from "./subscription-metrics.ts";
import { SubscriptionLog } from "./subscription-log.ts";
import { checkAckTimeout, type PlanParts, planOf } from "./subscription-plan.ts";
import { type SubscriptionStatistics, statisticsOf } from "./subscription-statistics.ts";

/** What only the library and its tests set. */
export interface MessageServerParts {
  readonly clock?: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs?: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random?: () => number;
}

/** The pauses between looks whether the broker is there. */
const lookPauses = Object.freeze({ initialMs: 20, maxMs: 1_000, multiplier: 2, jitter: 0.2 });

/**
 * Messages of a broker in front of a server: each message becomes a call of an rpc that its contract marks with
 * `consume`, with the same interceptors, gates, deadline, errors and trace as a call by any other door.
 *
 * ```
 *   broker ─▶ Subscription          one for each topic and group
 *               consumedOf          what a delivery is                    skipped, expired, dead letters leave here
 *               Lanes               messages of a key one after another
 *                 MessageRuns       inbox, breaker
 *                   MessageCaller   context, identity, gates, body, call
 *                 verdict           settled, held, moved to a retry queue or the dead-letter queue, released
 * ```
 */
export class MessageServer implements ManagedServer, AsyncDisposable {
  readonly name = "QUEUE";
  readonly #options: MessageServerOptions;
  readonly #parts: Required<MessageServerParts>;
  readonly #lifecycle = new Lifecycle();
  readonly #upstream: Upstream;
  readonly #invoker: Invoker;
  readonly #admission: Admission | undefined;
  readonly #metadata: MessageMetadata;
  readonly #log: SubscriptionLog;
  readonly #services: DescService[] = [];
  readonly #rpcs: ConsumedRpc[] = [];
  /** Made at the start. */
  #subscriptions: readonly Subscription[] = [];
  readonly #boot = new AbortController();
  #stopping: Promise<StopReport> | undefined;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: GivenMessageOptions, parts: MessageServerParts = {}) {
    const merged = (this.#options = mergeMessageOptions(options));
    this.#parts = { clock: systemClock, wallMs: Date.now, random: Math.random, ...parts };
    const { gates, observers, interceptors } = merged;
    const faults = new FaultLog(merged);
    const addresses = new ClientAddresses([]);
    this.#log = new SubscriptionLog(merged);
    this.#upstream = upstreamInvoker(merged);
    this.#invoker = observeInvoker(interceptInvoker(this.#upstream.invoker, interceptors), observers, faults);
    this.#admission = gates.length === 0 ? undefined : new Admission({ gates, observers, faults, addresses });
    this.#metadata = new MessageMetadata("MessageServer", merged.forwardHeaders);
  }

  /**
   * Consumes by the rpcs of a service that its contract marks, given by itself or by its descriptor alone.
   *
   * @param overrides what is said otherwise than in the contract, by the names of rpcs
   * @throws SetupError naming rpc and file, for what cannot be consumed, and after the start
   */
  addService(
    service: AnyService | DescService,
    overrides: Readonly<Record<string, ConsumeOverride>> = {},
  ): this {
    const descriptor = "descriptor" in service ? service.descriptor : service;
    checkProtobufCopy(descriptor);
    if (this.state !== "init")
      throw new SetupError(`${this.name}: add services before start(), as ${descriptor.typeName}`);
    const rpcs = consumedRpcs(descriptor, overrides);
    checkConsumed([...this.#rpcs, ...rpcs]);
    this.#services.push(descriptor);
    this.#rpcs.push(...rpcs);
    return this;
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state. @returns a function that unsubscribes it */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /**
   * Consumes by rpcs that were made otherwise than of a service, for other parts of the library.
   *
   * @throws SetupError for two that take the same messages, and after the start
   */
  addRpcs(rpcs: readonly ConsumedRpc[]): this {
    if (this.state !== "init") throw new SetupError(`${this.name}: add rpcs before start()`);
    checkConsumed([...this.#rpcs, ...rpcs]);
    this.#rpcs.push(...rpcs);
    return this;
  }

  /** The services that were added, in their order. */
  get services(): readonly DescService[] {
    return this.#services;
  }

  /** What each subscription is doing, and has done; none before the start. */
  get subscriptions(): readonly SubscriptionStatistics[] {
    return this.#subscriptions.map(statisticsOf);
  }

  /** Adds the figures of its subscriptions to a page of metrics. @returns a function that takes them from there */
  watch(metrics: MetricsPage): () => void {
    return new SubscriptionMetrics(() => this.#subscriptions, this.#parts.clock).watch(metrics);
  }

  /** Lines for a log or terminal: what is read by which rpcs. */
  describe(): string[] {
    const { broker } = this.#options;
    const lines = this.#rpcs.map(({ topic, group, type, name }) => `${topic} (${group}) ${type} → ${name}`);
    return [`consuming from ${broker.name}`, ...lines].map((line) => `[${this.name}] ${line}`);
  }

  /**
   * Subscribes to the topics of all services. Resolves although the broker is away: the state is `listen` then, and
   * `ready` as soon as every subscription has been connected.
   *
   * @throws SetupError naming the rpc or option that cannot be used, or what the broker has in another form
   */
  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    try {
      this.#subscriptions = this.#plan();
      await this.#admission?.ready();
      await Promise.all(this.#subscriptions.map((subscription) => subscription.start()));
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      await this.#end(0);
      throw error;
    }
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#lifecycle.enter("listen");
    if (this.#isConnected) this.#lifecycle.enter("ready");
    else void this.#becomeReady();
  }

  /** Runs and fetches nothing of a group until `resume`. @throws SetupError where there is no such subscription */
  pause(topic: string, group: string): void {
    this.find(topic, group).pause();
  }

  /** Ends a pause. @throws SetupError where there is no such subscription */
  resume(topic: string, group: string): void {
    this.find(topic, group).resume();
  }

  /**
   * Gives dead letters to the group that could not handle them, from the oldest on: their attempts begin again.
   *
   * @returns how many
   * @throws SetupError where there is no such subscription; ConnectError where the broker cannot be asked
   */
  replay(topic: string, group: string, selection: Partial<DeadSelection> = {}): Promise<number> {
    return this.deadLetters(topic, group).replay(selection);
  }

  /** The dead letters of a group. @throws SetupError where there is no such subscription */
  deadLetters(topic: string, group: string): DeadLetters {
    const { ownGroup } = this.find(topic, group).plan;
    return new DeadLetters(this.#options.broker, topic, ownGroup, this.#parts.clock);
  }

  /** How many messages wait at the broker, by partition. @throws SetupError where there is no such subscription */
  lag(topic: string, group: string): Promise<ReadonlyMap<number, number>> {
    return this.find(topic, group).lag();
  }

  /**
   * A message is settled without a run when it is delivered next: for one that ends each process that handles it.
   *
   * @throws SetupError where there is no such subscription
   */
  skip(topic: string, group: string, partition: number | undefined, offset: bigint): void {
    this.find(topic, group).skip(partition, offset);
  }

  /**
   * The service `ts_ms.messaging.v1.MessageAdminService`, which shows this server and changes it, to be added to a server.
   *
   * @throws SetupError without `allow`
   */
  admin(options: MessageAdminOptions): Service<typeof MessageAdminService> {
    return messageAdminService(this, options);
  }

  /**
   * Resolves if messages are consumed: every subscription is connected.
   *
   * @throws ConnectError UNAVAILABLE with what is in the way
   */
  async check(): Promise<void> {
    if (this.state !== "ready") throw new ConnectError(`${this.name} is ${this.state}`, Code.Unavailable);
    await this.#options.broker.check();
    const away = this.#subscriptions.find(({ isConnected }) => !isConnected);
    if (away === undefined) return;
    const { topic, group } = away.plan;
    throw new ConnectError(`the subscription of ${group} to ${topic} is not connected`, Code.Unavailable);
  }

  /** A server of messages has no clients that could go elsewhere: what is fetched is handled until the stop. */
  drain(): void {}

  /**
   * Begins no more runs and gives back what waits; runs under way may end within the grace period, then they are aborted
   * and given back. No attempt is counted. Idempotent.
   */
  gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    return (this.#stopping ??= this.#stop(graceMs));
  }

  /** Stops as `gracefulStop()` does, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gracefulStop();
  }

  /** A subscription. @throws SetupError where there is none */
  find(topic: string, group: string): Subscription {
    const found = this.#subscriptions.find(({ plan }) => plan.topic === topic && plan.group === group);
    if (found !== undefined) return found;
    const known = this.#subscriptions.map(({ plan }) => `${plan.topic} (${plan.group})`).join(", ");
    throw new SetupError(
      `${this.name}: there is no subscription ${topic} (${group}); there is ${known || "none"}`,
    );
  }

  #plan(): Subscription[] {
    const options = this.#options;
    const { untyped } = options;
    if (untyped !== "dead" && !this.#rpcs.some(({ name }) => name === untyped)) {
      throw new SetupError(`MessageServer: the option untyped names ${untyped}, which consumes nothing here`);
    }
    const { clock, wallMs, random } = this.#parts;
    const common = {
      options,
      invoker: this.#invoker,
      admission: this.#admission,
      metadata: this.#metadata,
      random,
    };
    return groupsOf(this.#rpcs).map((rpcs) => {
      const plan = planOf(rpcs, common satisfies PlanParts);
      checkAckTimeout(plan, options);
      for (const { rpc, schedule } of plan.rpcs.values()) {
        if (rpc.ordering === "none" || schedule.mode === "hold") continue;
        process.emitWarning(
          `${this.name}: ${rpc.name} handles messages in order, and loses the place of those that are retried: retry.mode is later`,
        );
      }
      return new Subscription({ plan, options, clock, wallMs, random, log: this.#log });
    });
  }

  get #isConnected(): boolean {
    return this.#subscriptions.every(({ isConnected }) => isConnected);
  }

  async #becomeReady(): Promise<void> {
    const { signal } = this.#boot;
    const { clock, random } = this.#parts;
    const pauses = new Pauses(lookPauses, random);
    while (!this.#isConnected && !signal.aborted)
      await new WakeablePause(clock).wait(pauses.nextMs(), signal);
    if (this.state === "listen") this.#lifecycle.enter("ready");
  }

  async #stop(graceMs: number): Promise<StopReport> {
    const { state } = this;
    if (state === "boot" || state === "listen" || state === "ready") this.#lifecycle.enter("graceful");
    this.#boot.abort();
    const report = await this.#end(graceMs);
    this.#upstream.close();
    this.#lifecycle.enter("stop");
    return report;
  }

  async #end(graceMs: number): Promise<StopReport> {
    return sumOfReports(
      await Promise.all(this.#subscriptions.map((subscription) => subscription.stop(graceMs))),
    );
  }
}

/** The rpcs by what they read, and with whom. */
function groupsOf(rpcs: readonly ConsumedRpc[]): (readonly [ConsumedRpc, ...ConsumedRpc[]])[] {
  const groups = new Map<string, [ConsumedRpc, ...ConsumedRpc[]]>();
  for (const rpc of rpcs) {
    const key = `${rpc.topic} ${rpc.group}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [rpc]);
    else group.push(rpc);
  }
  return [...groups.values()];
}
