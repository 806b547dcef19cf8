import type { Admission } from "../core/admission/admission.ts";
import type { Invoker } from "../core/call/invoker.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { type StopReport, sumOfReports } from "../core/lifecycle/lifecycle.ts";
import type { Clock } from "../core/time/clock.ts";
import { Pauses } from "../core/time/pauses.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import type { ConsumedRpc } from "./contract.ts";
import type { MessageMetadata } from "./message-metadata.ts";
import type { MessageServerOptions } from "./message-server-options.ts";
import { isSameContract } from "./same-contract.ts";
import { Subscription } from "./subscription.ts";
import type { SubscriptionLog } from "./subscription-log.ts";
import { checkAckTimeout, type PlanParts, planOf } from "./subscription-plan.ts";

/** What the subscriptions of a server have in common. */
export interface SubscriptionsParts {
  /** The server's name, for warnings and errors. */
  readonly owner: string;
  readonly options: MessageServerOptions;
  readonly invoker: Invoker;
  /** Undefined without gates. */
  readonly admission: Admission | undefined;
  readonly metadata: MessageMetadata;
  readonly log: SubscriptionLog;
  /** Whether the services have not come that the option `awaitServices` waits for. */
  readonly isAwaiting: boolean;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random: () => number;
}

/** The pauses between looks whether the broker is there. */
const lookPauses = Object.freeze({ initialMs: 20, maxMs: 1_000, multiplier: 2, jitter: 0.2 });

/** The rpcs of one topic and group, and what reads for them. */
interface Reader {
  readonly rpcs: readonly ConsumedRpc[];
  readonly subscription: Subscription;
  /** Resolves when it reads, or has not come to that. */
  begun: Promise<void>;
  /** Why it does not read. */
  problem: unknown;
}

/**
 * The subscriptions of a server: one for each topic and group that its rpcs read. When the rpcs change, those of which the
 * contract says nothing else go on without a break.
 *
 * ```
 *   replace ─▶ same contract          goes on
 *              new                    begins; of a changed one when its predecessor has ended
 *              gone, or changed       begins no run, gives back what waits, and ends with its last run
 * ```
 */
export class Subscriptions {
  readonly #parts: SubscriptionsParts;
  #admission: Admission | undefined;
  /** By topic and group. */
  #readers: ReadonlyMap<string, Reader>;
  /** Those that read no more, until their runs have ended. */
  readonly #ending = new Map<Subscription, Promise<unknown>>();
  #isStarted = false;
  #isStopped = false;
  #isAwaiting: boolean;

  /** @throws SetupError naming the rpc or option that cannot be used */
  constructor(rpcs: readonly ConsumedRpc[], parts: SubscriptionsParts) {
    const { untyped, awaitServices } = parts.options;
    if (untyped !== "dead" && !awaitServices && !rpcs.some(({ name }) => name === untyped)) {
      throw new SetupError(`MessageServer: the option untyped names ${untyped}, which consumes nothing here`);
    }
    this.#parts = parts;
    this.#admission = parts.admission;
    this.#isAwaiting = awaitServices && parts.isAwaiting;
    this.#readers = this.#plan(rpcs, new Map());
    for (const { subscription } of this.#readers.values()) warnOfLostPlaces(parts.owner, subscription.plan);
  }

  get all(): readonly Subscription[] {
    return [...this.#readers.values()].map(({ subscription }) => subscription);
  }

  /** Whether messages come for each of them, and no services are waited for. */
  get areConnected(): boolean {
    return !this.#isAwaiting && this.all.every(({ isConnected }) => isConnected);
  }

  /** @throws SetupError if the broker has something of a name in another form */
  async start(): Promise<void> {
    this.#isStarted = true;
    const readers = [...this.#readers.values()];
    await Promise.all(readers.map((reader) => (reader.begun = reader.subscription.start())));
  }

  /** @throws SetupError naming the rpc that cannot be consumed with these options */
  check(rpcs: readonly ConsumedRpc[]): void {
    this.#plan(rpcs, this.#readers);
  }

  /** Reads for other rpcs from now on. @throws SetupError as `check`; nothing has changed then */
  replace(rpcs: readonly ConsumedRpc[]): void {
    const next = this.#plan(rpcs, this.#readers);
    this.#isAwaiting = false;
    const before = this.#readers;
    this.#readers = next;
    if (!this.#isStarted || this.#isStopped) return;
    for (const [name, reader] of before) if (next.get(name) !== reader) this.#end(reader);
    for (const [name, reader] of next) {
      if (before.get(name) === reader) continue;
      warnOfLostPlaces(this.#parts.owner, reader.subscription.plan);
      reader.begun = this.#begin(name, reader);
    }
  }

  /** Resolves when all are connected, or `signal` fires. */
  async untilConnected(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    const pauses = new Pauses(lookPauses, random);
    while (!this.areConnected && !signal.aborted) {
      await new WakeablePause(clock).wait(pauses.nextMs(), signal);
    }
  }

  /** @throws ConnectError UNAVAILABLE naming one that is not connected */
  checkConnected(): void {
    for (const { subscription, problem } of this.#readers.values()) {
      if (subscription.isConnected) continue;
      const { topic, group } = subscription.plan;
      const why = problem instanceof Error ? `: ${problem.message}` : "";
      throw new ConnectError(
        `the subscription of ${group} to ${topic} is not connected${why}`,
        Code.Unavailable,
      );
    }
  }

  /** @throws SetupError where there is none */
  find(topic: string, group: string): Subscription {
    const found = this.#readers.get(nameOf({ topic, group }));
    if (found !== undefined) return found.subscription;
    const known = this.all.map(({ plan }) => `${plan.topic} (${plan.group})`).join(", ");
    throw new SetupError(
      `${this.#parts.owner}: there is no subscription ${topic} (${group}); there is ${known || "none"}`,
    );
  }

  /** Runs that begin from now on are admitted by other gates. @param admission undefined without any */
  admitBy(admission: Admission | undefined): void {
    this.#admission = admission;
    for (const { plan } of this.all) {
      for (const { rpc, caller, timeoutMs } of plan.rpcs.values()) {
        caller.admitBy(admission?.of(rpc.method, timeoutMs));
      }
    }
  }

  /** As `Subscription.stop`, of all at once, those too that read no more. */
  async stop(graceMs: number): Promise<StopReport> {
    this.#isStopped = true;
    const all = [...this.all, ...this.#ending.keys()];
    return sumOfReports(await Promise.all(all.map((subscription) => subscription.stop(graceMs))));
  }

  /** Readers for rpcs: those that there are where they read for the same contracts, and new ones, which do not read yet. */
  #plan(rpcs: readonly ConsumedRpc[], known: ReadonlyMap<string, Reader>): ReadonlyMap<string, Reader> {
    const readers = new Map<string, Reader>();
    for (const [name, group] of groupsOf(rpcs)) {
      const before = known.get(name);
      const isSame = before?.problem === undefined && isSameContract(before?.rpcs ?? [], group);
      readers.set(name, before !== undefined && isSame ? before : this.#readerOf(group, before));
    }
    return readers;
  }

  #readerOf(rpcs: readonly [ConsumedRpc, ...ConsumedRpc[]], before: Reader | undefined): Reader {
    const { options, clock, wallMs, random, log } = this.#parts;
    const plan = planOf(rpcs, { ...this.#parts, admission: this.#admission } satisfies PlanParts);
    checkAckTimeout(plan, options);
    const subscription = new Subscription({
      ...{ plan, options, clock, wallMs, random, log },
      before: before?.subscription,
    });
    return { rpcs, subscription, begun: Promise.resolve(), problem: undefined };
  }

  /** Begins to read as soon as those before it have ended, unless it is to end itself by then. Never rejects. */
  async #begin(name: string, reader: Reader): Promise<void> {
    const { subscription } = reader;
    const before = [...this.#ending].filter(([{ plan }]) => nameOf(plan) === name);
    await Promise.all(before.map(([, ended]) => ended));
    if (this.#readers.get(name) !== reader || this.#isStopped) return;
    try {
      await subscription.start();
    } catch (reason) {
      reader.problem = reason;
      this.#parts.log.unusable(subscription.plan.topic, subscription.plan.group, reason);
    }
  }

  /** Ends a reader when its runs have ended, each in its own time. */
  #end({ subscription, begun }: Reader): void {
    const longestMs = Math.max(...[...subscription.plan.rpcs.values()].map(({ timeoutMs }) => timeoutMs));
    const ended = Promise.allSettled([begun, subscription.stop(longestMs)]);
    this.#ending.set(subscription, ended);
    void ended.then(() => this.#ending.delete(subscription));
  }
}

function nameOf({ topic, group }: Pick<ConsumedRpc, "topic" | "group">): string {
  return `${topic} ${group}`;
}

/** The rpcs by what they read, and with whom. */
function groupsOf(
  rpcs: readonly ConsumedRpc[],
): ReadonlyMap<string, readonly [ConsumedRpc, ...ConsumedRpc[]]> {
  const groups = new Map<string, [ConsumedRpc, ...ConsumedRpc[]]>();
  for (const rpc of rpcs) {
    const name = nameOf(rpc);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [rpc]);
    else group.push(rpc);
  }
  return groups;
}

function warnOfLostPlaces(owner: string, { rpcs }: Subscription["plan"]): void {
  for (const { rpc, schedule } of rpcs.values()) {
    if (rpc.ordering === "none" || schedule.mode === "hold") continue;
    process.emitWarning(
      `${owner}: ${rpc.name} handles messages in order, and loses the place of those that are retried: retry.mode is later`,
    );
  }
}
