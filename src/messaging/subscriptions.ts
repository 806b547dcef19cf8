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
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random: () => number;
}

/** The pauses between looks whether the broker is there. */
const lookPauses = Object.freeze({ initialMs: 20, maxMs: 1_000, multiplier: 2, jitter: 0.2 });

/** The subscriptions of a server: one for each topic and group that its rpcs read. */
export class Subscriptions {
  readonly all: readonly Subscription[];
  readonly #parts: SubscriptionsParts;

  /** @throws SetupError naming the rpc or option that cannot be used */
  constructor(rpcs: readonly ConsumedRpc[], parts: SubscriptionsParts) {
    const { options } = parts;
    const { untyped } = options;
    if (untyped !== "dead" && !rpcs.some(({ name }) => name === untyped)) {
      throw new SetupError(`MessageServer: the option untyped names ${untyped}, which consumes nothing here`);
    }
    this.#parts = parts;
    this.all = groupsOf(rpcs).map((group) => {
      const plan = planOf(group, parts satisfies PlanParts);
      checkAckTimeout(plan, options);
      warnOfLostPlaces(parts.owner, plan);
      const { clock, wallMs, random, log } = parts;
      return new Subscription({ plan, options, clock, wallMs, random, log });
    });
  }

  /** Whether messages come for each of them. */
  get areConnected(): boolean {
    return this.all.every(({ isConnected }) => isConnected);
  }

  /** @throws SetupError if the broker has something of a name in another form */
  async start(): Promise<void> {
    await Promise.all(this.all.map((subscription) => subscription.start()));
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
  check(): void {
    const away = this.all.find(({ isConnected }) => !isConnected);
    if (away === undefined) return;
    const { topic, group } = away.plan;
    throw new ConnectError(`the subscription of ${group} to ${topic} is not connected`, Code.Unavailable);
  }

  /** @throws SetupError where there is none */
  find(topic: string, group: string): Subscription {
    const found = this.all.find(({ plan }) => plan.topic === topic && plan.group === group);
    if (found !== undefined) return found;
    const known = this.all.map(({ plan }) => `${plan.topic} (${plan.group})`).join(", ");
    throw new SetupError(
      `${this.#parts.owner}: there is no subscription ${topic} (${group}); there is ${known || "none"}`,
    );
  }

  /** Runs that begin from now on are admitted by other gates. @param admission undefined without any */
  admitBy(admission: Admission | undefined): void {
    for (const { plan } of this.all) {
      for (const { rpc, caller, timeoutMs } of plan.rpcs.values()) {
        caller.admitBy(admission?.of(rpc.method, timeoutMs));
      }
    }
  }

  /** As `Subscription.stop`, of all at once. */
  async stop(graceMs: number): Promise<StopReport> {
    return sumOfReports(await Promise.all(this.all.map((subscription) => subscription.stop(graceMs))));
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

function warnOfLostPlaces(owner: string, { rpcs }: Subscription["plan"]): void {
  for (const { rpc, schedule } of rpcs.values()) {
    if (rpc.ordering === "none" || schedule.mode === "hold") continue;
    process.emitWarning(
      `${owner}: ${rpc.name} handles messages in order, and loses the place of those that are retried: retry.mode is later`,
    );
  }
}
