import type { Broker } from "../../../src/messaging/broker.ts";

/** A broker of the contract suite. */
export interface BrokerFixture {
  readonly name: string;
  /** Why it cannot run here, with what to install; false where it can. */
  readonly missing: string | false;
  /** Whether a message may have no body at all. */
  readonly hasTombstones: boolean;
  /** How long a message may take from its publisher to a reader of an empty queue, in milliseconds. */
  readonly deliveryMs: number;
  /** How long it may take after the queue was declared, after a loss or between readers, in milliseconds. */
  readonly settleMs: number;
  /** How long the readers of a group need to divide the work when one has joined, in milliseconds. */
  readonly joinMs: number;
  /** Starts what the cases of a file share. */
  start(): Promise<BrokerWorld>;
}

/** A running broker. */
export interface BrokerWorld {
  /** Connects as another process would; in memory all are the same. The test stops it. */
  connect(): Promise<Broker>;
  stop(): Promise<void>;
}
