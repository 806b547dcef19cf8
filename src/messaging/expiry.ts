import type { IncomingMessage } from "./broker.ts";
import type { CloudEvent } from "./event-attributes.ts";

/** The attribute that says until when a message is worth handling. */
export const expiryAttribute = "expirytime";

/** The attribute for a message that expires. @param atMs in milliseconds since 1970 */
export function expiryOf(atMs: number): string {
  return new Date(atMs).toISOString();
}

/**
 * When a message expires, by its attribute or by what the broker says, in milliseconds since 1970; undefined for never.
 * An attribute that is no time says nothing.
 */
export function expiresAtMs(
  event: CloudEvent | undefined,
  { expiresAtMs: byBroker }: Pick<IncomingMessage, "expiresAtMs">,
): number | undefined {
  const text = event?.extensions.get(expiryAttribute);
  const byEvent = text === undefined ? Number.NaN : Date.parse(text);
  if (Number.isNaN(byEvent)) return byBroker;
  return byBroker === undefined ? byEvent : Math.min(byEvent, byBroker);
}
