import type { StoredSubscription } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";

/** A subscription as it is kept. */
export interface KeptSubscription {
  /** Names it for ever. */
  readonly uid: string;
  /** The principal that it belongs to. */
  readonly owner: string;
  /** Unique for its owner. */
  readonly id: string;
  /** Grows with each change. */
  readonly version: number;
  /** Undefined for one that was deleted. */
  readonly stored: StoredSubscription | undefined;
}

/** What has become of an event for a subscription, at the last try. */
export interface KeptDelivery {
  /** That of the header `webhook-id`. */
  readonly deliveryId: string;
  /** Of the subscription. */
  readonly uid: string;
  readonly eventId: string;
  readonly eventSource: string;
  readonly eventType: string;
  readonly status: "delivered" | "failed" | "dead";
  /** 0 for none. */
  readonly httpStatus: number;
  /** Of gRPC; 0 for OK. */
  readonly code: number;
  /** For people. */
  readonly message: string;
  readonly attempt: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** `ts_ms.dispatch.v1.Event`. */
  readonly event: Uint8Array;
}

/** What is asked of deliveries: those of a subscription, the newest first. */
export interface DeliveryQuery {
  readonly uid: string;
  /** Undefined for all. */
  readonly deliveryId?: string | undefined;
  /** Milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  /** Those before it: milliseconds since 1970. */
  readonly beforeMs?: number | undefined;
  /** With `beforeMs`: of those of that very time the ones with a smaller id too. */
  readonly beforeId?: string | undefined;
  readonly limit: number;
}

/** Keeps subscriptions and deliveries. Each function rejects with UNAVAILABLE where it cannot be reached. */
export interface DispatchStore {
  /** Whether what is kept outlives the process: secrets are encrypted then. */
  readonly isDurable: boolean;
  /** Makes what is missing, any number of times. */
  migrate(): Promise<void>;
  /**
   * Those that have changed since a time of the store's clock, deleted ones among them; all that there are for undefined.
   * It goes back a little further, for changes that became visible late.
   */
  changes(since: number | undefined): Promise<{
    readonly now: number;
    readonly subscriptions: readonly KeptSubscription[];
  }>;
  /** One by its uid, or by owner and id; undefined for none. */
  find(
    by: { readonly uid: string } | { readonly owner: string; readonly id: string },
  ): Promise<KeptSubscription | undefined>;
  /** A page of those of an owner, by their ids. @param after the id before the first one */
  list(owner: string, after: string, limit: number): Promise<readonly KeptSubscription[]>;
  /** @returns false where the owner has one with this id */
  insert(subscription: KeptSubscription): Promise<boolean>;
  /** Replaces one whose version is one less; undefined in `stored` deletes it. @returns false where it has changed meanwhile */
  update(subscription: KeptSubscription): Promise<boolean>;
  /** Keeps what has become of a delivery, in place of what was kept of it. */
  note(delivery: KeptDelivery): Promise<void>;
  deliveries(query: DeliveryQuery): Promise<readonly KeptDelivery[]>;
  /** Forgets deliveries that are older, and subscriptions that were deleted an hour ago. */
  sweep(deliveriesBeforeMs: number): Promise<void>;
}
