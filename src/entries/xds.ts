/** `ts-ms/xds`: finding services by a control plane of xDS. */

export { xdsResolver } from "../core/discovery/xds/xds-resolver.ts";
export type { XdsOptions } from "../core/discovery/xds/bootstrap.ts";
