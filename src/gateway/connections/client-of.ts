import type { ClientAddresses } from "../../core/admission/client-address.ts";
import type { LiveExchange } from "./live-exchange.ts";

/** The address of the client of an exchange; empty for one without an address. */
export function clientOf({ head, remoteAddress }: LiveExchange, addresses: ClientAddresses): string {
  const headerValues = (name: string): readonly string[] => {
    const value = head.headers[name];
    if (value === undefined) return [];
    return typeof value === "string" ? [value] : value;
  };
  return addresses.of({ headerValues }, remoteAddress).ip;
}
