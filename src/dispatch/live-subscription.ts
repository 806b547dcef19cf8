import type { DescMessage } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Subscription_State as State } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { StoredSubscription } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { DeliveryLane, type LaneParts } from "./delivery-lane.ts";
import type { KeptSubscription } from "./dispatch-store.ts";
import type { EventFilter } from "./filter.ts";
import type { Target, TargetSchedule } from "./target.ts";

/** What a subscription is made of that has been checked. */
export interface CheckedSubscription {
  readonly filter: EventFilter;
  readonly schedule: TargetSchedule;
  /** Makes the target; called when the first event goes there. */
  readonly open: () => Target;
}

/** A subscription whose filter and target can be used. */
export class LiveSubscription {
  readonly uid: string;
  readonly owner: string;
  readonly id: string;
  readonly version: number;
  readonly stored: StoredSubscription;
  readonly filter: EventFilter;
  readonly schedule: TargetSchedule;
  readonly #open: () => Target;
  #target: Target | undefined;
  #lane: DeliveryLane | undefined;
  /** Since when no delivery from here has succeeded; undefined while they do, or none was tried. */
  failingSinceMs: number | undefined;

  constructor(
    { uid, owner, id, version }: KeptSubscription,
    stored: StoredSubscription,
    { filter, schedule, open }: CheckedSubscription,
  ) {
    this.uid = uid;
    this.owner = owner;
    this.id = id;
    this.version = version;
    this.stored = stored;
    this.filter = filter;
    this.schedule = schedule;
    this.#open = open;
    const since = stored.subscription?.failingSince;
    this.failingSinceMs = since === undefined ? undefined : timestampMs(since);
  }

  get state(): State {
    return this.stored.subscription?.state ?? State.ACTIVE;
  }

  get isOrdered(): boolean {
    return this.stored.subscription?.ordered ?? false;
  }

  /** Whether new events come: a paused subscription gets them later. */
  get takesEvents(): boolean {
    return this.state === State.ACTIVE || this.state === State.PAUSED;
  }

  /** What is older is of no interest: milliseconds since 1970. */
  get oldestMs(): number {
    const resumed = this.stored.resumeTime;
    return resumed === undefined ? 0 : timestampMs(resumed);
  }

  get target(): Target {
    return (this.#target ??= this.#open());
  }

  lane(parts: Omit<LaneParts, "concurrency">): DeliveryLane {
    return (this.#lane ??= new DeliveryLane({ ...parts, concurrency: this.schedule.concurrency }));
  }

  close(): void {
    this.#target?.close();
    this.#target = undefined;
  }
}

/** The types of the events that can match, for what is checked by them; none for any. */
export function schemasOf(
  types: ReadonlyMap<string, { readonly schema: DescMessage }>,
  filter: EventFilter,
): DescMessage[] {
  return [...(filter.types ?? [])].flatMap((type) => types.get(type)?.schema ?? []);
}
