import type { SubscriptionService, EventService } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { Service } from "../core/call/service.ts";
import { toTransport } from "../core/call/transport.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
  sumOfReports,
} from "../core/lifecycle/lifecycle.ts";
import {
  type AdministeredMessages,
  type MessageAdminOptions,
  messageAdminService,
} from "../messaging/admin-service.ts";
import type { DeadLetters } from "../messaging/dead-letter-box.ts";
import { MessageServer } from "../messaging/message-server.ts";
import type { SubscriptionStatistics } from "../messaging/subscription-statistics.ts";
import { configuredSubscriptions } from "./configured-subscriptions.ts";
import {
  type DispatchOptions,
  type EventDispatcherOptions,
  mergeDispatchOptions,
} from "./dispatch-options.ts";
import { type DispatcherCore, type DispatcherParts, dispatcherCore } from "./dispatcher-core.ts";
import type { MetricsPage } from "./dispatch-counts.ts";
import { isOrderedBy } from "./check-subscription.ts";
import { DispatcherQueues } from "./dispatcher-queues.ts";
import { eventsOf } from "./event-types.ts";
import { eventService } from "./event-service.ts";
import { OrderedQueues } from "./ordered-queues.ts";
import { bodyInvoker, deliverRpc, matchRpc } from "./queue-rpcs.ts";
import { subscriptionService } from "./subscription-service.ts";
import { waitingMs } from "./task-queue.ts";

/** Tasks at once in this process: most of them wait for their targets. */
const tasksAtOnce = 1_024;
/** How long a task may take besides the try itself: a place in a lane, and storing what it becomes; in milliseconds. */
const taskSpareMs = 120_000;

/**
 * Sends events of topics to subscriptions: rpcs, webhooks, topics and rooms.
 *
 * ```
 *   topics ─▶ FanOut        which subscriptions want the event        tasks of 100 of them, confirmed
 *   tasks  ─▶ TaskFlow      each subscription in a lane of its own    what fails becomes a task of its own
 *               Deliveries  one try
 *                 Target    rpc, webhook, topic, room
 * ```
 *
 * Every process of a group does both; an event is matched once, each of its deliveries is tried until it succeeds, is a
 * dead letter, or its subscription ends. It is a server like others: `start`, `gracefulStop`.
 */
export class EventDispatcher implements ManagedServer, AsyncDisposable {
  readonly name = "DISPATCH";
  readonly #options: DispatchOptions;
  readonly #lifecycle = new Lifecycle();
  readonly #core: DispatcherCore;
  readonly #matching: MessageServer;
  readonly #tasks: MessageServer;
  readonly #ordered: OrderedQueues;
  readonly #queues: DispatcherQueues;
  #stopping: Promise<StopReport> | undefined;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: EventDispatcherOptions, parts: DispatcherParts = {}) {
    const merged = (this.#options = mergeDispatchOptions(options));
    const core = (this.#core = dispatcherCore(merged, parts, (before, after) =>
      this.#ordered.changed(before, after),
    ));
    const { broker, logger, group, topics, concurrency, webhooks } = merged;
    const common = { broker, logger, identity: undefined, breaker: false } as const;
    const { fanOut, flow, tasks, types } = core;
    const events = eventsOf(types, topics);
    // Without it all processes match, and there are no subscriptions with an order: `checkSubscription` refuses them.
    const ordering = isOrderedBy(broker) ? "key" : "none";
    const server = (given: Omit<ConstructorParameters<typeof MessageServer>[0], "broker">): MessageServer =>
      new MessageServer({ ...common, ...given }, core.parts);
    this.#matching = server({
      upstream: toTransport(bodyInvoker((body, context) => fanOut.handle(body, context))),
      concurrency,
      from: "new",
      retry: { delaysMs: [1_000, 5_000, 10_000] },
    }).addRpcs(events.map((type) => matchRpc(type, group, ordering)));
    this.#tasks = server({
      upstream: toTransport(bodyInvoker((body, context) => flow.handle(body, context))),
      concurrency: tasksAtOnce,
      prefetch: tasksAtOnce,
      timeoutMs: Math.max(webhooks.timeoutMs, 30_000) + taskSpareMs,
      retry: { delaysMs: waitingMs, mode: "later" },
    }).addRpcs([deliverRpc(tasks.topic, group, "none")]);
    this.#ordered = new OrderedQueues({
      tasks,
      log: core.log,
      parts: core.parts,
      options: {
        ...common,
        breaker: {},
        upstream: toTransport(bodyInvoker((body, context) => flow.inOrder(body, context))),
      },
    });
    this.#queues = new DispatcherQueues({
      ...{ broker, tasks, live: core.live, clock: core.parts.clock },
      ...{ matching: this.#matching, unordered: this.#tasks, ordered: this.#ordered },
    });
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** The service by which callers keep subscriptions, to be added to a server. */
  get subscriptions(): Service<typeof SubscriptionService> {
    return subscriptionService(this.#core, this.#options);
  }

  /** The service that takes events, to be added to a server. */
  get events(): Service<typeof EventService> {
    return eventService(this.#core, this.#options);
  }

  /** What its queues are doing, and have done: those of the topics, and those of tasks; none before the start. */
  get queues(): readonly SubscriptionStatistics[] {
    return this.#queues.subscriptions;
  }

  /**
   * The dead letters of a queue: of `GROUP.tasks` those of all deliveries that have failed for good, of a topic events
   * that could not be dispatched.
   *
   * @throws SetupError where there is no such queue
   */
  deadLetters(topic: string): DeadLetters {
    return this.#queues.deadLetters(topic, this.#options.group);
  }

  /** Lines for a log or terminal: what is dispatched, and where to. */
  describe(): string[] {
    const { topics, group } = this.#options;
    const counts = new Map<string, number>();
    for (const { stored } of this.#core.live.all) {
      const kind = stored.subscription?.target.case ?? "";
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    const targets = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ") || "none yet";
    return [`[${this.name}] events of ${topics.join(", ")} (${group}) to subscriptions: ${targets}`];
  }

  /** Adds its figures to a page of metrics. @returns a function that takes them from there */
  watch(metrics: MetricsPage & Parameters<MessageServer["watch"]>[0]): () => void {
    const { counts, live } = this.#core;
    const watched = [
      counts.watch(metrics, function* () {
        for (const { state } of live.all) yield state;
      }),
      this.#matching.watch(metrics),
      this.#tasks.watch(metrics),
    ];
    return () => {
      for (const end of watched) end();
    };
  }

  /**
   * The service that shows its queues, pauses them and replays their dead letters: those of `GROUP.tasks` are deliveries
   * that have failed for good, those of topics are events that were not dispatched.
   *
   * @throws SetupError without `allow`
   */
  admin(options: MessageAdminOptions): ReturnType<typeof messageAdminService> {
    return messageAdminService(this.administered, options);
  }

  /** What such a service shows and changes. */
  get administered(): AdministeredMessages {
    return this.#queues;
  }

  /** Checks the option `subscriptions`, as `start` does. @throws SetupError naming one that cannot be used */
  async checkSubscriptions(): Promise<void> {
    for (const { id, stored } of configuredSubscriptions(this.#options.subscriptions)) {
      if (stored !== undefined) await this.#core.live.check(id, stored);
    }
  }

  /**
   * Makes the tables that are missing, loads subscriptions and begins to read. Resolves although the broker is away.
   *
   * @throws SetupError naming a subscription of the configuration that cannot be used; ConnectError UNAVAILABLE where the
   *   store cannot be asked
   */
  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    const { live, store } = this.#core;
    try {
      await store?.migrate();
      await live.configure(configuredSubscriptions(this.#options.subscriptions));
      await live.start();
      await this.#ordered.start(live.all);
      await this.#tasks.start();
      await this.#matching.start();
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      await this.#end(0);
      throw error;
    }
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#lifecycle.enter("listen");
    this.#lifecycle.enter("ready");
  }

  /** Resolves if events are dispatched. @throws ConnectError UNAVAILABLE with what is in the way */
  async check(): Promise<void> {
    if (this.state !== "ready") throw new ConnectError(`${this.name} is ${this.state}`, Code.Unavailable);
    await this.#matching.check();
    await this.#tasks.check();
  }

  /** A dispatcher has no clients that could go elsewhere. */
  drain(): void {}

  /** Begins no more tries; those under way may end within the grace period, then they are given back. Idempotent. */
  gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    return (this.#stopping ??= this.#stop(graceMs));
  }

  /** Stops as `gracefulStop()` does, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gracefulStop();
  }

  async #stop(graceMs: number): Promise<StopReport> {
    const { state } = this;
    if (state === "boot" || state === "listen" || state === "ready") this.#lifecycle.enter("graceful");
    const report = await this.#end(graceMs);
    this.#lifecycle.enter("stop");
    return report;
  }

  async #end(graceMs: number): Promise<StopReport> {
    const reports = await Promise.all([
      this.#matching.gracefulStop({ graceMs }),
      this.#tasks.gracefulStop({ graceMs }),
      this.#ordered.stop(graceMs),
    ]);
    this.#core.close();
    return sumOfReports(reports);
  }
}
