import type { IncomingMessage } from "./broker.ts";
import type { CloudEvent } from "./cloud-event.ts";

/** When a message expires, in milliseconds since 1970: by its attribute `expirytime` or its broker, the sooner; undefined for never. */
export function expiresAtMs(event: CloudEvent | undefined, message: IncomingMessage): number | undefined {
  const text = event?.extensions.get("expirytime");
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  const own = Number.isNaN(ms) ? undefined : ms;
  const { expiresAtMs: brokers } = message;
  return own === undefined || brokers === undefined ? (own ?? brokers) : Math.min(own, brokers);
}
