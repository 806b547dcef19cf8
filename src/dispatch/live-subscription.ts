import { type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Subscription_State as State } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { type StoredSubscription, StoredSubscriptionSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { DeliveryLane, type LaneParts } from "./delivery-lane.ts";
import type { KeptSubscription } from "./dispatch-store.ts";
import type { EventFilter } from "./filter.ts";
import type { Target, TargetSchedule } from "./target.ts";

/** What was found when a subscription was checked. */
export interface CheckedSubscription {
  readonly filter: EventFilter;
  readonly schedule: TargetSchedule;
}

/** Makes the target of a subscription that has been checked; called when the first event goes there. */
export type OpenTarget = (stored: StoredSubscription) => Target;

/**
 * A subscription whose filter and target can be used.
 *
 * Processes know many that few events match: of each the message is kept as its bytes, and besides them what is asked for
 * at each event. A test measures it.
 */
export class LiveSubscription {
  readonly uid: string;
  readonly owner: string;
  readonly id: string;
  readonly version: number;
  readonly state: State;
  readonly isOrdered: boolean;
  /** What is older is of no interest: milliseconds since 1970. */
  readonly oldestMs: number;
  /** Whether others know since when it fails. */
  readonly isFailureKept: boolean;
  readonly filter: EventFilter;
  readonly schedule: TargetSchedule;
  /** Its message, a character for each byte: a text of V8 needs less memory than bytes with a buffer. */
  readonly #bytes: string;
  readonly #open: OpenTarget;
  #target: Target | undefined;
  #lane: DeliveryLane | undefined;
  /** Since when no delivery from here has succeeded; undefined while they do, or none was tried. */
  failingSinceMs: number | undefined;

  constructor(
    { uid, owner, id, version }: KeptSubscription,
    stored: StoredSubscription,
    { filter, schedule }: CheckedSubscription,
    open: OpenTarget,
  ) {
    const { state = State.ACTIVE, ordered = false, failingSince } = stored.subscription ?? {};
    this.uid = uid;
    this.owner = owner;
    this.id = id;
    this.version = version;
    this.state = state;
    this.isOrdered = ordered;
    this.oldestMs = stored.resumeTime === undefined ? 0 : timestampMs(stored.resumeTime);
    this.isFailureKept = failingSince !== undefined;
    this.filter = filter;
    this.schedule = schedule;
    this.#bytes = Buffer.from(toBinary(StoredSubscriptionSchema, stored)).toString("latin1");
    this.#open = open;
    this.failingSinceMs = failingSince === undefined ? undefined : timestampMs(failingSince);
  }

  /** Its message, which is the caller's. */
  get stored(): StoredSubscription {
    return fromBinary(StoredSubscriptionSchema, Buffer.from(this.#bytes, "latin1"));
  }

  /** Whether new events come: a paused subscription gets them later. */
  get takesEvents(): boolean {
    return this.state === State.ACTIVE || this.state === State.PAUSED;
  }

  get target(): Target {
    return (this.#target ??= this.#open(this.stored));
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
  return (filter.types ?? []).flatMap((type) => types.get(type)?.schema ?? []);
}
