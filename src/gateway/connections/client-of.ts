import type { ClientAddresses } from "../../core/admission/client-address.ts";
import type { LiveExchange } from "./live-exchange.ts";

/** The address of the client of an exchange; empty for one without an address. */
export function clientOf({ head, remoteAddress }: LiveExchange, addresses: ClientAddresses): string {
  return addresses.ofHead(head.headers, remoteAddress).ip;
}
