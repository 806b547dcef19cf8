/** `ts-ms/rest`: clients of HTTP APIs, for browsers and Node. */

export { restTransport } from "../core/rest/rest-transport.ts";
export type { RestHeaders, RestPolicy, RestRule, RestTransportOptions } from "../core/rest/rest-options.ts";
