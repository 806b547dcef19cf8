import type { NatsDelivery } from "./nats-delivery.ts";

/** The answer to a message that is done. */
export const settled = "+ACK";
/** The answer to a message that is to be delivered again. */
export const released = "-NAK";
const msInNs = 1_000_000;

/** The answer to a message that is to be delivered again behind a time. */
export function later(delayMs: number): string {
  return `${released} {"delay":${Math.ceil(delayMs) * msInNs}}`;
}

/** The order of a stream. */
export function byOffset(a: NatsDelivery, b: NatsDelivery): number {
  return a.offset < b.offset ? -1 : 1;
}
