import { Code, type ConnectError } from "@connectrpc/connect";
import { QuotaFailureSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { refusal } from "../admission/refusal.ts";
import { retryInfo } from "../errors/retry-info.ts";
import { writeLimitHeaders, type Left } from "./headers.ts";
import type { Limit } from "./limit.ts";

/** When a call that was refused for too many open calls may be tried again: when one ends is not known. */
const concurrentRetryMs = 1_000;
/** When a call that was refused without the store may be tried again, in milliseconds. */
const storeRetryMs = 1_000;

/** The error of a call that a limit refuses: RESOURCE_EXHAUSTED, which names the limit and never its key. */
export function overLimit(limit: Limit, retryMs: number, left: readonly Left[]): ConnectError {
  const { name, quota } = limit;
  const isQuota = limit.kind === "rate" && limit.isQuota;
  const waitMs = limit.kind === "rate" ? retryMs : concurrentRetryMs;
  const text =
    limit.kind === "rate"
      ? `the limit ${name} (${limit.options.rate}) is used up`
      : `the limit ${name} allows ${quota} open calls`;
  const headers: Record<string, string> = {};
  writeLimitHeaders(left, (header, value) => (headers[header] = value));
  return refusal({
    kind: "rate_limited",
    code: Code.ResourceExhausted,
    reason: isQuota ? "QUOTA_EXCEEDED" : "RATE_LIMIT_EXCEEDED",
    message: text,
    metadata: { limit: name },
    details: [
      retryInfo(waitMs),
      { desc: QuotaFailureSchema, value: { violations: [{ subject: name, description: text }] } },
    ],
    headers,
  });
}

/** The error of a call whose limit must not pass it without the store. */
export function storeAway({ name }: Limit): ConnectError {
  return refusal({
    kind: "rate_limited",
    code: Code.Unavailable,
    reason: "LIMIT_STORE_UNAVAILABLE",
    message: `the store of the limit ${name} cannot be reached`,
    metadata: { limit: name },
    details: [retryInfo(storeRetryMs)],
  });
}
