import type { Message } from "@bufbuild/protobuf";
import type { Entry } from "../connections/entry.ts";
import type { Matches } from "../connections/selector.ts";
import type { EventHeaders } from "./header-filter.ts";

/** What is published in a room. It does not change any more. */
export interface Publication {
  readonly id: string;
  readonly message: Message;
  readonly headers: EventHeaders;
  /** The connections that it is for; undefined for all. */
  readonly to: Matches | undefined;
  /** The connection that it is not for: its publisher's. Undefined for none. */
  readonly notTo: Entry | undefined;
}

/** What becomes of a publication for one member. */
export type Offered = "sent" | "lagging" | "filtered" | "failed";

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
