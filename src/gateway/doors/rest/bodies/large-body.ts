import type { HttpExchange } from "../../../http/exchange.ts";

/**
 * Lets a client that waits for `100 Continue` send a body of any size: HTTP/1.1 connections answer 100 only to those whose
 * body is no larger than `maxBodyBytes`.
 */
export function allowLargeBody(exchange: HttpExchange, maxBodyBytes: number): void {
  const { headers } = exchange.head;
  if (headers.expect !== undefined && Number(headers["content-length"] ?? 0) > maxBodyBytes) {
    exchange.continueBody();
  }
}
