import type { OutgoingMessage } from "../../src/messaging/broker.ts";
import type { Transaction } from "../../src/messaging/transaction.ts";

/** An event of a test. */
export function eventMessage(id: string, over: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return {
    to: { kind: "topic", topic: "orders" },
    event: {
      id,
      source: "/shop",
      type: "shop.v1.OrderPlaced",
      subject: undefined,
      timeMs: 1_790_000_000_000,
      extensions: new Map(),
    },
    key: undefined,
    headers: new Map(),
    contentType: "application/protobuf",
    contentEncoding: undefined,
    body: new TextEncoder().encode(`body of ${id}`),
    mandatory: false,
    ...over,
  };
}

/** Publishes events in a transaction, as a publisher does. */
export function publishIn(tx: Transaction, ...messages: readonly OutgoingMessage[]): Promise<void> {
  return tx.include((add) => add(messages));
}
