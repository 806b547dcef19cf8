import { type StopReport, sumOfReports } from "../core/lifecycle/lifecycle.ts";
import { Subscription_State as State } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { MessageServer } from "../messaging/message-server.ts";
import type { GivenMessageOptions, MessageServerParts } from "../messaging/message-server-options.ts";
import type { SubscriptionStatistics } from "../messaging/subscription-statistics.ts";
import type { DispatchLog } from "./dispatch-log.ts";
import type { LiveSubscription } from "./live-subscription.ts";
import { deliverRpc } from "./queue-rpcs.ts";
import type { TaskQueue } from "./task-queue.ts";

/** What the queues of ordered subscriptions need. */
export interface OrderedParts {
  readonly tasks: TaskQueue;
  readonly log: DispatchLog;
  readonly parts: MessageServerParts;
  /** Options of the server of each queue, but for its retries. */
  readonly options: Omit<GivenMessageOptions, "retry" | "timeoutMs">;
}

/** Reads the queues of subscriptions whose events have an order: each has one of its own, with lanes, retries and breaker. */
export class OrderedQueues {
  readonly #parts: OrderedParts;
  readonly #servers = new Map<string, MessageServer>();
  readonly #ended: StopReport[] = [];
  #isOpen = false;

  constructor(parts: OrderedParts) {
    this.#parts = parts;
  }

  /** Begins to read those that are known, and from then on those that come. */
  async start(subscriptions: Iterable<LiveSubscription>): Promise<void> {
    this.#isOpen = true;
    await Promise.all([...subscriptions].map((each) => this.#put(each)));
  }

  /** A subscription is new, has changed or is no more. */
  changed(before: LiveSubscription | undefined, after: LiveSubscription | undefined): void {
    if (!this.#isOpen) return;
    const work = after?.isOrdered === true ? this.#put(after) : this.#drop((after ?? before)?.uid ?? "");
    work.catch((reason: unknown) => this.#parts.log.fault(reason));
  }

  /** What they are doing, and have done. */
  get subscriptions(): readonly SubscriptionStatistics[] {
    return [...this.#servers.values()].flatMap(({ subscriptions }) => subscriptions);
  }

  /** The server that reads a topic; undefined where it is none of these. */
  serverOf(topic: string): MessageServer | undefined {
    for (const [uid, server] of this.#servers)
      if (this.#parts.tasks.orderedTopic(uid) === topic) return server;
    return undefined;
  }

  async stop(graceMs: number): Promise<StopReport> {
    this.#isOpen = false;
    const reports = await Promise.all(
      [...this.#servers.values()].map((server) => server.gracefulStop({ graceMs })),
    );
    return sumOfReports([...this.#ended, ...reports]);
  }

  async #put(subscription: LiveSubscription): Promise<void> {
    if (!subscription.isOrdered) return;
    const { uid, state } = subscription;
    let server = this.#servers.get(uid);
    if (server === undefined) {
      server = this.#newServer(subscription);
      this.#servers.set(uid, server);
      await server.start();
    }
    if (server.subscriptions.length === 0) return; // It is being started.
    const { tasks } = this.#parts;
    if (state === State.ACTIVE) server.resume(tasks.orderedTopic(uid), tasks.group);
    else server.pause(tasks.orderedTopic(uid), tasks.group);
  }

  #newServer({ uid, schedule }: LiveSubscription): MessageServer {
    const { tasks, options, parts } = this.#parts;
    const { orderedDelaysMs, timeoutMs } = schedule;
    const given = {
      ...options,
      concurrency: schedule.concurrency,
      prefetch: schedule.concurrency,
      timeoutMs: timeoutMs + 1_000, // The try itself ends before.
      retry: { delaysMs: orderedDelaysMs, mode: "hold" as const },
    };
    const rpc = deliverRpc(tasks.orderedTopic(uid), tasks.group, "key", orderedDelaysMs.length + 1);
    return new MessageServer(given, parts).addRpcs([rpc]);
  }

  async #drop(uid: string): Promise<void> {
    const server = this.#servers.get(uid);
    if (server === undefined) return;
    this.#servers.delete(uid);
    this.#ended.push(await server.gracefulStop({ graceMs: 0 }));
  }
}
