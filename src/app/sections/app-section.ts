import type { Config } from "../../core/config/loader/config-types.ts";
import { ConnectionLimit, type ConnectionLimitOptions } from "../../core/net/connection-limit.ts";
import { fileLimit } from "../../core/net/file-limit.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The share of the files of the process that connections of clients may take, unless the configuration says more. */
const shareOfFiles = 0.8;

/** The connections of all ports. */
export function open({ config }: SectionKit): SectionParts {
  const all = new ConnectionLimit(limitsOf(config));
  const http = new ConnectionLimit({ maxConnectionsPerIp: config.http.maxConnectionsPerIp }, all);
  const grpc = new ConnectionLimit({ maxConnectionsPerIp: config.grpc.maxConnectionsPerIp }, all);
  return {
    http: { connectionLimit: http },
    grpc: { connectionLimit: grpc },
    prepare:
      ({ next }) =>
      () => {
        all.replace(limitsOf(next));
        http.replace({ maxConnectionsPerIp: next.http.maxConnectionsPerIp });
        grpc.replace({ maxConnectionsPerIp: next.grpc.maxConnectionsPerIp });
      },
  };
}

function limitsOf({ app }: Config): Partial<ConnectionLimitOptions> {
  return {
    maxConnections: app.maxConnections ?? Math.floor((fileLimit() ?? 0) * shareOfFiles),
    maxPerSecond: app.maxConnectionsPerSecond,
  };
}
