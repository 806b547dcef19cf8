import type { DescService } from "@bufbuild/protobuf";
import type { MessageAdminService } from "../../gen/ts_ms/messaging/v1/admin_pb.ts";
import type { Admission } from "../core/admission/admission.ts";
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
} from "../core/lifecycle/lifecycle.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { upstreamInvoker, type Upstream } from "../core/upstream/upstream.ts";
import { type MessageAdminOptions, messageAdminService } from "./admin-service.ts";
import { type ConsumedContracts, type ConsumeOverrides, ConsumedServices } from "./consumed-services.ts";
import type { ConsumedRpc } from "./contract.ts";
import { MessageMetadata } from "./message-metadata.ts";
import {
  type GivenMessageOptions,
  mergeMessageOptions,
  type MessageServerOptions,
  type MessageServerParts,
} from "./message-server-options.ts";
import { admissionOf } from "./subscription-plan.ts";
import { OperatedSubscriptions } from "./operated-subscriptions.ts";
import type { Subscription } from "./subscription.ts";
import { SubscriptionLog } from "./subscription-log.ts";
import { type MetricsPage, SubscriptionMetrics } from "./subscription-metrics.ts";
import { type SubscriptionStatistics, statisticsOf } from "./subscription-statistics.ts";
import { Subscriptions } from "./subscriptions.ts";

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
export class MessageServer extends OperatedSubscriptions implements ManagedServer, AsyncDisposable {
  readonly name = "QUEUE";
  readonly #options: MessageServerOptions;
  readonly #parts: Required<MessageServerParts>;
  readonly #lifecycle = new Lifecycle();
  readonly #upstream: Upstream;
  readonly #invoker: Invoker;
  #admission: Admission | undefined;
  readonly #metadata: MessageMetadata;
  readonly #log: SubscriptionLog;
  readonly #services = new ConsumedServices();
  #isAwaiting = true;
  /** Made at the start. */
  #subscriptions: Subscriptions | undefined;
  readonly #boot = new AbortController();
  #stopping: Promise<StopReport> | undefined;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: GivenMessageOptions, parts: MessageServerParts = {}) {
    super();
    const merged = (this.#options = mergeMessageOptions(options));
    this.#parts = { clock: systemClock, wallMs: Date.now, random: Math.random, ...parts };
    const { gates, observers, interceptors } = merged;
    const faults = new FaultLog(merged);
    this.#log = new SubscriptionLog(merged);
    this.#upstream = upstreamInvoker(merged);
    this.#invoker = observeInvoker(interceptInvoker(this.#upstream.invoker, interceptors), observers, faults);
    this.#admission = admissionOf(gates, merged);
    this.#metadata = new MessageMetadata("MessageServer", merged.forwardHeaders);
  }

  /**
   * Consumes by the rpcs of a service that its contract marks, given by itself or by its descriptor alone.
   *
   * @param overrides what is said otherwise than in the contract, by the names of rpcs
   * @throws SetupError naming rpc and file, for what cannot be consumed, and after the start
   */
  addService(service: AnyService | DescService, overrides: ConsumeOverrides = {}): this {
    const descriptor = "descriptor" in service ? service.descriptor : service;
    checkProtobufCopy(descriptor);
    if (this.state !== "init")
      throw new SetupError(`${this.name}: add services before start(), as ${descriptor.typeName}`);
    this.#services.add(descriptor, overrides);
    return this;
  }

  /**
   * Consumes by the rpcs of these contracts that are marked for that, beside the services that were added, and in place
   * of the contracts before: those that come and go while a gateway runs. `Upstreams.serve` calls it.
   *
   * Subscriptions follow: new ones begin, and those whose contracts have not changed go on without a break. Those that are
   * gone begin no more runs, give back what waits, and end with their last run; what is published for their group
   * waits at the broker. A changed one begins again when it has ended.
   *
   * @returns the services that cannot be consumed beside those before them, with the reason
   */
  serveContracts(contracts: ConsumedContracts): ReadonlyMap<DescService, SetupError> {
    for (const service of contracts.services) checkProtobufCopy(service);
    const selected = this.#services.select(contracts, (rpcs) => this.#subscriptions?.check(rpcs));
    this.#services.use(selected);
    this.#isAwaiting = false;
    this.#subscriptions?.replace(this.#services.rpcs);
    return selected.leftOut;
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
    this.#services.addRpcs(rpcs);
    return this;
  }

  /** The services that were added, in their order, and those of contracts by which it consumes. */
  get services(): readonly DescService[] {
    return this.#services.services;
  }

  /** What each subscription is doing, and has done; none before the start. */
  get subscriptions(): readonly SubscriptionStatistics[] {
    return this.#all.map(statisticsOf);
  }

  /** Adds the figures of its subscriptions to a page of metrics. @returns a function that takes them from there */
  watch(metrics: MetricsPage): () => void {
    return new SubscriptionMetrics(() => this.#all, this.#parts.clock).watch(metrics);
  }

  /** Lines for a log or terminal: what is read by which rpcs. */
  describe(): string[] {
    const { broker } = this.#options;
    const lines = this.#services.rpcs.map(
      ({ topic, group, type, name }) => `${topic} (${group}) ${type} → ${name}`,
    );
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
      const subscriptions = (this.#subscriptions = this.#plan());
      await this.#admission?.ready();
      await subscriptions.start();
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      await this.#end(0);
      throw error;
    }
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#lifecycle.enter("listen");
    if (this.#subscriptions.areConnected) this.#lifecycle.enter("ready");
    else void this.#becomeReady(this.#subscriptions);
  }

  /** Admits the calls that begin from now on by other gates; those under way keep theirs. */
  reload({ gates }: Pick<MessageServerOptions, "gates">): void {
    this.#admission = admissionOf(gates, this.#options);
    this.#subscriptions?.admitBy(this.#admission);
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
    this.#subscriptions?.checkConnected();
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
    const { name } = this;
    if (this.#subscriptions === undefined)
      throw new SetupError(`${name} has no subscriptions before its start`);
    return this.#subscriptions.find(topic, group);
  }

  protected get place(): { readonly broker: MessageServerOptions["broker"]; readonly clock: Clock } {
    return { broker: this.#options.broker, clock: this.#parts.clock };
  }

  get #all(): readonly Subscription[] {
    return this.#subscriptions?.all ?? [];
  }

  #plan(): Subscriptions {
    return new Subscriptions(this.#services.rpcs, {
      ...this.#parts,
      owner: this.name,
      options: this.#options,
      invoker: this.#invoker,
      admission: this.#admission,
      metadata: this.#metadata,
      log: this.#log,
      isAwaiting: this.#isAwaiting,
    });
  }

  async #becomeReady(subscriptions: Subscriptions): Promise<void> {
    await subscriptions.untilConnected(this.#boot.signal);
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
    return (await this.#subscriptions?.stop(graceMs)) ?? { finished: 0, notified: [], cut: [] };
  }
}
