/** `ts-ms/app`: the types of `App`, and a gateway as a whole program. */

export type { AppLimits } from "../app/app-control.ts";
export type { AppOptions } from "../app/app-options.ts";
export type {
  AppServer,
  MakeServer,
  RegisterServerOptions,
  ServerInfo,
  ServerParts,
} from "../app/app-server.ts";
export type { CheckOptions, CheckReport } from "../app/checks.ts";
export type { Feature } from "../app/features.ts";
export { runHttpProgram, type HttpProgram } from "../app/http-program.ts";
export type { MockUpstream } from "../app/mock-upstream.ts";
export type { HealthReport } from "../app/health.ts";
export type { InjectReply, InjectRequest } from "../app/inject.ts";
export type { Statistics } from "../app/statistics.ts";
