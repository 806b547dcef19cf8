import { portFlag, textFlag } from "../flag-kinds.ts";
import { grpcServerDefaults } from "./server-options.ts";

/** Flags of a gRPC server. */
export const grpcFlags = {
  grpcHost: textFlag("HOST", grpcServerDefaults.host, "Address to serve gRPC on"),
  grpcPort: portFlag(grpcServerDefaults.port, "Port to serve gRPC on; 0 picks a free one"),
} as const;
