import type { Config } from "../../core/config/loader/config-types.ts";

/** Whether the program has a gRPC server elsewhere behind it, in place of one of its own. */
export function hasUpstream({ upstream }: Config): boolean {
  return upstream !== undefined;
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
