import { randomBytes } from "node:crypto";
import { formatTraceparent, parseTraceparent, traceparentHeader } from "../core/metadata/trace-context.ts";

/** The trace of a saga: that of the call that begins it, or one of its own. */
export function newTraceparent(headers: Headers | undefined): string {
  const given = parseTraceparent(headers?.get(traceparentHeader) ?? undefined);
  if (given !== undefined) return formatTraceparent(given);
  // Ids of zeros are none; that they come is as likely as that two are the same.
  const traceId = randomBytes(16).toString("hex");
  const spanId = randomBytes(8).toString("hex");
  return formatTraceparent({ traceId, spanId, sampled: true });
}
