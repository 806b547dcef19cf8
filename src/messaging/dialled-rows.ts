import type { HandlerContext } from "@connectrpc/connect";
import type { MadeInvoker } from "../core/call/invoker-source.ts";
import { type BrokerDialOptions, mergeBrokerDialOptions } from "./broker-dial-options.ts";
import { BrokerInvoker } from "./broker-invoker.ts";
import type { OutgoingMessage } from "./broker.ts";
import type { MadeMessage } from "./new-message.ts";

/**
 * Adds messages to the outbox of a transaction, in their order. In a database whose transactions are synchronous the rows
 * are there when it returns.
 *
 * @throws ConnectError INVALID_ARGUMENT for a message that cannot be a row, such as one that goes to a queue of a group
 */
export type AddMessages = (messages: readonly OutgoingMessage[]) => Promise<void>;

/** Where a transaction takes messages. */
export interface RowSink {
  /** The call that the transaction is of; undefined for none. */
  readonly context: HandlerContext | undefined;
  include<T>(work: (add: AddMessages) => Promise<T>): Promise<T>;
}

/**
 * What `dial` makes of a transaction: commands that are sent become rows of it. Calls are UNIMPLEMENTED, since a
 * transaction ends before their reply could come.
 *
 * @throws SetupError naming the option that cannot be used
 */
export function dialRows(sink: RowSink, options: Partial<BrokerDialOptions>): MadeInvoker {
  const merged = mergeBrokerDialOptions(options);
  const send = async ({ message, span }: MadeMessage): Promise<void> => {
    await sink.include((add) => add([message]));
    span?.end(undefined);
  };
  return {
    invoker: new BrokerInvoker(
      { system: "a transaction", send, calls: undefined, context: sink.context },
      merged,
    ),
    isReady: () => true,
    ready: () => Promise.resolve(),
  };
}
