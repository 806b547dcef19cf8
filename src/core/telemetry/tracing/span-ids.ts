import { randomBytes } from "node:crypto";

const poolDigits = 8192;
const zeros = "0".repeat(32);
let pool = "";
let next = 0;

/** So many values do the last 14 hexadecimal digits of the id of a trace have. */
const values = 2 ** 56;

/**
 * A new id of a trace: 32 hexadecimal digits.
 *
 * @param from the share of all ids that come before it, by the number of their last 14 digits; from 0 to 1
 * @param to the share of all ids that end where its own share ends
 */
export function newTraceId(from = 0, to = 1): string {
  if (from === 0 && to === 1) return digits(32);
  const share = from + (Number.parseInt(digits(13), 16) / 2 ** 52) * (to - from);
  return (
    digits(18) +
    Math.floor(share * values)
      .toString(16)
      .padStart(14, "0")
  );
}

/** Whether the id of a trace is of the first share of all ids: so all servers with one ratio sample the same traces. */
export function isOfShare(traceId: string, share: number): boolean {
  if (share >= 1) return true;
  return share > 0 && Number.parseInt(traceId.slice(18), 16) < share * values;
}

/** A new id of a span: 16 hexadecimal digits. */
export function newSpanId(): string {
  return digits(16);
}

function digits(count: number): string {
  if (next + count > pool.length) {
    pool = randomBytes(poolDigits / 2).toString("hex");
    next = 0;
  }
  const id = pool.slice(next, next + count);
  next += count;
  return zeros.startsWith(id) ? digits(count) : id; // Ids of zeros are none.
}
