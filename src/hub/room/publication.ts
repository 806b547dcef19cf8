import type { Message } from "@bufbuild/protobuf";
import type { Entry } from "../connections/entry.ts";
import type { Matches } from "../connections/selectable.ts";
import type { Selector } from "../connections/selector.ts";
import type { EventHeaders } from "./header-filter.ts";
import type { Position } from "./position.ts";

/** How a publication stands to others that wait for a member: see `SendOptions`. */
export type Priority = "low" | "normal" | "high";

/** What is published in a room. It does not change any more. */
export interface Publication {
  readonly id: string;
  readonly message: Message;
  readonly headers: EventHeaders;
  /** Size of the message. */
  readonly bytes: number;
  /** Of publications with the same key only the last one counts, where they are conflated; undefined for none. */
  readonly key: string | undefined;
  readonly priority: Priority;
  /** How long it is delivered, in milliseconds behind its publishing; undefined for as long as it is kept. */
  readonly ttlMs: number | undefined;
  /** The connections that it is for; undefined for all. */
  readonly to: Matches | undefined;
  /** `to` as its publisher has written it. */
  readonly selector: Selector | undefined;
  /** The connection that it is not for: its publisher's. Undefined for none. */
  readonly notTo: Entry | undefined;
  /** Name of its server-sent event; undefined for none. */
  readonly event: string | undefined;
  /** The message in protobuf as it was measured, for a bus that writes it; undefined once it was published. */
  encoded: Uint8Array | undefined;
  /** Is told what has become of it in the process that publishes it; undefined once it was. */
  delivered: ((deliveries: Deliveries) => void) | undefined;
}

/** A publication as it came from the bus. */
export interface RoomEntry {
  readonly publication: Publication;
  /** Undefined for one that is not kept. */
  readonly position: Position | undefined;
  /** When it is delivered no more, by the clock of this process; undefined for never. */
  readonly untilMs: number | undefined;
}

/** What becomes of a publication for one member. */
export type Offered = "sent" | "lagging" | "filtered" | "failed" | "dropped";

/** How many members a publication has reached; the sum of all but `members` is `members`. */
export interface Deliveries {
  /** The members at that moment. */
  members: number;
  /** Those whose connection has taken it. */
  sent: number;
  /** Those whose connection has ended meanwhile, or has no room for it. */
  failed: number;
  /** Those that will not get it, as their connections are behind. */
  dropped: number;
  /** Those that it is not for, by their filter, or as it is for others. */
  filtered: number;
  /** Those that will read it when their connection has taken what was before. */
  lagging: number;
}

export function noDeliveries(): Deliveries {
  return { members: 0, sent: 0, failed: 0, dropped: 0, filtered: 0, lagging: 0 };
}

/** What has become of a publication on several nodes. */
export function addDeliveries(all: readonly Readonly<Deliveries>[]): Deliveries {
  const sums = noDeliveries();
  const names = Object.keys(sums) as (keyof Deliveries)[]; // It has no other members.
  for (const one of all) for (const name of names) sums[name] += one[name];
  return sums;
}
