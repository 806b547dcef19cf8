import type { HandlerContext } from "@connectrpc/connect";
import { type InvokerSource, type MadeInvoker, makeInvoker } from "../core/call/invoker-source.ts";
import type { BrokerDialOptions } from "./broker-dial-options.ts";
import { type AddMessages, dialRows } from "./dialled-rows.ts";

export type { AddMessages } from "./dialled-rows.ts";

/**
 * A transaction of a database with an outbox, as publishers see it: what is published in it is sent if, and only if, it
 * commits. `Publisher.in` and `dial` take it; the stores of `outbox/` make it.
 */
export abstract class Transaction implements InvokerSource<BrokerDialOptions> {
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

  /** What `dial` makes of it. */
  [makeInvoker](options: Partial<BrokerDialOptions>): MadeInvoker {
    return dialRows(this, options);
  }
}
