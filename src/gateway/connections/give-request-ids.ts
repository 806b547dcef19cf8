import { requestIdHeader, type RequestIds } from "../../core/metadata/request-id.ts";
import type { CompleteHead } from "../http/response-head.ts";
import type { ExchangeHooks, LiveExchange } from "./live-exchange.ts";

/** Whether an exchange came through a trusted proxy. */
export type IsTrusted = (exchange: LiveExchange) => boolean;

/**
 * Gives each exchange the id of its request, and each answer the header with it.
 *
 * @param ids undefined for no ids
 * @param complete what completes heads beside; undefined for nothing
 */
export function giveRequestIds(
  ids: RequestIds | undefined,
  isTrusted: IsTrusted,
  complete: CompleteHead | undefined,
): Pick<ExchangeHooks, "onHead" | "completeHead"> {
  if (ids === undefined) return { onHead: undefined, completeHead: complete };
  return {
    onHead(exchange) {
      const { head } = exchange;
      head.requestId = ids.of(head.headers[requestIdHeader], () => isTrusted(exchange));
    },
    completeHead(exchange, response, status) {
      const { requestId } = exchange.head;
      if (requestId !== undefined) response.setHeader(requestIdHeader, requestId);
      complete?.(exchange, response, status);
    },
  };
}
