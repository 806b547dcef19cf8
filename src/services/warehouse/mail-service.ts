import type { HandlerContext } from "@connectrpc/connect";
import { MailService as descriptor, type OrderPlaced } from "../../../gen/warehouse/v1/warehouse_pb.ts";
import type { Service } from "../../core/call/service.ts";
import { messageOf } from "../../messaging/message-context.ts";

/** Writes to customers, as lines. Its contract, `warehouse/v1/warehouse.proto`, documents the rpc. */
export class MailService implements Service<typeof descriptor> {
  readonly descriptor = descriptor;
  readonly #send: (mail: string) => void;

  /** @param send takes each mail */
  constructor(send: (mail: string) => void) {
    this.#send = send;
  }

  onOrderPlaced({ orderId, sku, count }: OrderPlaced, context: HandlerContext) {
    const attempt = messageOf(context)?.attempt ?? 1;
    this.#send(`order ${orderId}: ${count} of ${sku} are on their way (attempt ${attempt})`);
    return {};
  }
}
