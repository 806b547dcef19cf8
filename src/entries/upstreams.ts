/** `ts-ms/upstreams`: several upstreams behind one gateway, and services of other servers passed on by gRPC. */

export { Upstreams } from "../gateway/upstreams/upstreams.ts";
export type { UpstreamsStats } from "../gateway/upstreams/upstreams-stats.ts";
export type { UpstreamInit, UpstreamsOptions } from "../gateway/upstreams/upstreams-options.ts";
export { proxy } from "../core/call/proxy.ts";
