import type { RequestHead } from "./exchange.ts";
import { type Weighted, weightedList } from "./weighted-list.ts";

/**
 * Whether the answer to a request may end with HTTP trailers: its `TE` contains `trailers` (RFC 9110, section 10.1.4),
 * in any letter case, among other values, with or without a weight that is not 0. Answers over HTTP/1.0 and to HEAD
 * never have trailers.
 */
export function acceptsTrailers({
  headers,
  httpVersion,
  method,
}: Pick<RequestHead, "headers" | "httpVersion" | "method">): boolean {
  const { te } = headers;
  if (te === undefined || method === "HEAD" || httpVersion === "1.0") return false;
  return te === "trailers" || weightedList(String(te)).some(asksForTrailers);
}

function asksForTrailers({ name, quality }: Weighted): boolean {
  return name === "trailers" && quality > 0;
}
