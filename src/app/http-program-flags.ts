import type { FlagValues } from "../core/config/flags.ts";
import { upstreamFlags } from "../core/grpc/client/upstream-flags.ts";
import { registerFlags } from "../core/lifecycle/lifecycle-flags.ts";
import { tlsFlags } from "../core/net/tls-flags.ts";
import { schemaFlags } from "../core/schema/schema-flags.ts";
import { authFlags } from "../core/security/auth-flags.ts";
import { commonFlags } from "../core/telemetry/telemetry.ts";
import { workerFlags } from "../core/workers/worker-flags.ts";
import { faceFlags } from "../gateway/flags/face-flags.ts";
import { httpFlags } from "../gateway/flags/http-flags.ts";

/** Flags of a program that is a gateway in front of gRPC servers: `http-only`, and `ts-ms serve` with more. */
export const httpProgramFlags = {
  ...upstreamFlags,
  ...httpFlags,
  ...faceFlags,
  ...tlsFlags,
  ...schemaFlags,
  ...authFlags,
  ...registerFlags,
  ...commonFlags,
  ...workerFlags,
} as const;

/** The values of `httpProgramFlags`. */
export type HttpProgramFlags = FlagValues<typeof httpProgramFlags>;
