import type { Config } from "../../core/config/loader/config-types.ts";

/** Whether the program has a gRPC server elsewhere behind it, in place of one of its own. */
export function hasUpstream({ upstream }: Config): boolean {
  return upstream !== undefined;
}

/** Whether the program has several services behind it, by their names or found by a catalog. */
export function hasUpstreams({ upstreams, discovery }: Config): boolean {
  return Object.keys(upstreams).length > 0 || discovery?.catalog !== undefined;
}

/** Whether the program has a gRPC server on a port of its own. */
export function hasGrpcPort(config: Config): boolean {
  return config.grpc.enabled && config.app.port === undefined && !hasUpstream(config);
}

/** Whether contracts of the upstream are served, which are known only once they are loaded. */
export function hasContracts({ gateway }: Config): boolean {
  return (
    gateway !== undefined &&
    (gateway.descriptors.length > 0 || gateway.proto.length > 0 || gateway.reflection)
  );
}

/** Whether rpcs are served whose contracts are loaded only as the program runs. */
export function hasLateContracts(config: Config): boolean {
  return hasUpstreams(config) || (hasUpstream(config) && hasContracts(config));
}
