import type { HandlerContext } from "@connectrpc/connect";
import {
  OrderPlacedSchema,
  StockService as descriptor,
  type CountRequest,
  type ReserveRequest,
} from "../../../gen/warehouse/v1/warehouse_pb.ts";
import type { Service } from "../../core/call/service.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Publisher } from "../../messaging/publisher.ts";

/** What a `StockService` needs. */
export interface StockParts {
  /** How many there are, by sku. */
  readonly stock: ReadonlyMap<string, number>;
  readonly events: Publisher;
  /** Is told of each reservation. */
  readonly log: (line: string) => void;
}

/** A warehouse in memory. Its contract, `warehouse/v1/warehouse.proto`, documents each rpc. */
export class StockService implements Service<typeof descriptor> {
  readonly descriptor = descriptor;
  readonly #left: Map<string, number>;
  readonly #events: Publisher;
  readonly #log: (line: string) => void;
  /** Orders that have their goods: a command may come twice. */
  readonly #reserved = new Set<string>();

  constructor({ stock, events, log }: StockParts) {
    this.#left = new Map(stock);
    this.#events = events;
    this.#log = log;
  }

  /** @throws ConnectError FAILED_PRECONDITION if there is not enough: the command is a dead letter then */
  async reserve({ orderId, sku, count }: ReserveRequest, context: HandlerContext) {
    if (!this.#reserved.has(orderId)) {
      const left = (this.#left.get(sku) ?? 0) - count;
      if (left < 0) throw new ConnectError(`there are not ${count} of ${sku}`, Code.FailedPrecondition);
      this.#left.set(sku, left);
      this.#reserved.add(orderId);
      this.#log(`order ${orderId}: ${count} of ${sku} reserved, ${left} left`);
    }
    // It may have failed the first time: what reads events takes one twice, too.
    await this.#events.publish(OrderPlacedSchema, { orderId, sku, count }, { context });
    return {};
  }

  count({ sku }: CountRequest) {
    return { count: this.#left.get(sku) ?? 0 };
  }
}
