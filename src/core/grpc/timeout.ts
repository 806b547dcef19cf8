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
