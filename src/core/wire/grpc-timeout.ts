const pattern = /^(\d{1,8})([HMSmun])$/;

const millisecondsOf: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Milliseconds in a `grpc-timeout` header: 1 to 8 digits and a unit (gRPC over HTTP/2); undefined for anything else. */
export function parseTimeout(text: string): number | undefined {
  const match = pattern.exec(text);
  const unit = millisecondsOf[match?.[2] ?? ""];
  return unit === undefined ? undefined : Number(match?.[1]) * unit;
}

/** The longest timeout that `grpc-timeout` can express, in milliseconds. */
const longestMs = 99_999_999 * 3_600_000;

/**
 * A `grpc-timeout` header for `timeoutMs`, rounded down but at least a millisecond. Undefined if the timeout is too
 * long for the header; the call then has none, which makes no practical difference.
 */
export function formatTimeout(timeoutMs: number): string | undefined {
  if (timeoutMs < 1e8) return `${Math.max(Math.floor(timeoutMs), 1)}m`;
  if (timeoutMs < 1e11) return `${Math.floor(timeoutMs / 1000)}S`;
  return timeoutMs <= longestMs ? `${Math.floor(timeoutMs / 3_600_000)}H` : undefined;
}
