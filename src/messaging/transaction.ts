import type { HandlerContext } from "@connectrpc/connect";
import type { OutgoingMessage } from "./broker.ts";

/**
 * A transaction of a database with an outbox, as publishers see it: what is published in it is sent if, and only if, it
 * commits. `Publisher.in` and `dial` take it; the stores of `outbox/` make it.
 */
export abstract class Transaction {
  /**
   * The call that the transaction is of: what is published in it is caused by the message of the call, and part of its
   * trace. Undefined for none.
   */
  get context(): HandlerContext | undefined {
    return undefined;
  }

  /**
   * Publishes within the transaction: it does not commit before the work is done, and rolls back if the work fails,
   * whether its promise is awaited or not.
   *
   * @param work is called at once; what it publishes it gives to `add`
   * @returns what `work` gives
   * @throws ConnectError FAILED_PRECONDITION `the transaction has ended`, without a call of `work`
   */
  abstract include<T>(work: (add: AddMessages) => Promise<T>): Promise<T>;
}

/**
 * Adds messages to the outbox of a transaction, in their order. In a database whose transactions are synchronous the rows
 * are there when it returns.
 *
 * @throws ConnectError INVALID_ARGUMENT for a message that cannot be a row, such as one that goes to a queue of a group
 */
export type AddMessages = (messages: readonly OutgoingMessage[]) => Promise<void>;
