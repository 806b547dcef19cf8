/** `ts-ms/rest`: clients of HTTP APIs, for browsers and Node. */

export { restTransport } from "../rest/rest-transport.ts";
export type { RestHeaders, RestPolicy, RestRule, RestTransportOptions } from "../rest/rest-options.ts";
