import type { HttpExchange } from "../../../http/exchange.ts";

/**
 * Sends `100 Continue` to a client that waits for it with a body larger than `maxBodyBytes`; for smaller bodies the
 * connection has sent it.
 */
export function allowLargeBody(exchange: HttpExchange, maxBodyBytes: number): void {
  const { headers } = exchange.head;
  if (headers.expect !== undefined && Number(headers["content-length"] ?? 0) > maxBodyBytes) {
    exchange.continueBody();
  }
}
