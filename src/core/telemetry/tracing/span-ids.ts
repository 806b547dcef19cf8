import { randomBytes } from "node:crypto";

const poolDigits = 8192;
let pool = "";
let next = 0;

/** A new id of a trace: 32 hexadecimal digits. */
export function newTraceId(): string {
  return digits(32);
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
  return Number.parseInt(id, 16) === 0 ? digits(count) : id; // Ids of zeros are none.
}
