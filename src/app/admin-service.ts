import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AdminService as descriptor,
  type GetConfigResponseSchema,
  type GetHealthResponseSchema,
  type GetPolicyResponseSchema,
  type GetStatisticsRequest,
  type GetStatisticsResponseSchema,
  type GetUsageRequest,
  type GetUsageResponseSchema,
  type ListServersResponseSchema,
  type ReloadResponseSchema,
  type ServerSchema,
  type SetLogLevelRequest,
  type SetLogLevelResponseSchema,
  type StartServerRequest,
  type StartServerResponseSchema,
  type StopServerRequest,
  type StopServerResponseSchema,
} from "../../gen/ts_ms/admin/v1/admin_pb.ts";
import type { Service } from "../core/call/service.ts";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { logLevels } from "../core/telemetry/logger.ts";
import type { ProgramControl } from "./app-control.ts";
import type { ServerInfo } from "./app-server.ts";

/** Shows a program and changes it. Its contract, `ts_ms/admin/v1/admin.proto`, documents each rpc. */
export class AdminService implements Service<typeof descriptor> {
  readonly descriptor = descriptor;
  readonly #program: () => ProgramControl;
  readonly #ownServer: string;

  /** @param ownServer name of the server that serves this service */
  constructor(program: () => ProgramControl, ownServer: string) {
    this.#program = program;
    this.#ownServer = ownServer;
  }

  listServers(): MessageInitShape<typeof ListServersResponseSchema> {
    return { servers: this.#program().app.servers.map(toServer) };
  }

  async startServer({
    name,
  }: StartServerRequest): Promise<MessageInitShape<typeof StartServerResponseSchema>> {
    this.#server(name);
    try {
      await this.#program().app.start(name);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      throw new ConnectError(error.message, Code.FailedPrecondition, undefined, undefined, error);
    }
    return { server: toServer(this.#server(name)) };
  }

  async stopServer({
    name,
    grace,
  }: StopServerRequest): Promise<MessageInitShape<typeof StopServerResponseSchema>> {
    this.#server(name);
    if (name === this.#ownServer) {
      const text = `the server "${name}" serves this call and cannot stop itself: stop the program, by SIGTERM`;
      throw new ConnectError(text, Code.FailedPrecondition);
    }
    const graceMs = grace === undefined ? undefined : durationMs(grace);
    if (graceMs !== undefined && graceMs < 0)
      throw invalidArgument("grace must not be negative", [
        { field: "grace", description: "must not be negative" },
      ]);
    const report = await this.#program().app.stop(name, graceMs === undefined ? {} : { graceMs });
    const { finished, notified, cut } = report;
    return { server: toServer(this.#server(name)), finished, notified: [...notified], cut: [...cut] };
  }

  async getHealth(): Promise<MessageInitShape<typeof GetHealthResponseSchema>> {
    const { app } = this.#program();
    const servers = Object.entries(await app.health()).map(([name, { status, latencyMs, error }]) => [
      name,
      { status, latencyMs, ...(error === undefined ? {} : { error }) },
    ]);
    const checks = Object.entries(app.checkReports).map(([name, { status, critical, latencyMs, error }]) => [
      name,
      {
        ...{ status, critical },
        ...(latencyMs === undefined ? {} : { latencyMs }),
        ...(error === undefined ? {} : { error }),
      },
    ]);
    return {
      servers: Object.fromEntries(servers) as Record<string, { status: string }>, // As made above.
      checks: Object.fromEntries(checks) as Record<string, { status: string }>, // As made above.
    };
  }

  getStatistics({ server }: GetStatisticsRequest): MessageInitShape<typeof GetStatisticsResponseSchema> {
    if (server !== "") this.#server(server);
    const counted = this.#program().app.statistics(server === "" ? undefined : server);
    return {
      totalConnections: BigInt(counted.totalConnections),
      activeConnections: BigInt(counted.activeConnections),
      refusedConnections: BigInt(counted.refusedConnections),
      totalRequests: BigInt(counted.totalRequests),
      activeRequests: BigInt(counted.activeRequests),
      failedRequests: BigInt(counted.failedRequests),
      refusedRequests: BigInt(counted.refusedRequests),
      totalMessages: BigInt(counted.totalMessages),
      failedMessages: BigInt(counted.failedMessages),
      averageResponseTimeMs: counted.averageResponseTimeMs,
      p50Ms: counted.p50Ms,
      p90Ms: counted.p90Ms,
      p99Ms: counted.p99Ms,
      since: timestampFromMs(counted.sinceMs),
    };
  }

  getConfig(): MessageInitShape<typeof GetConfigResponseSchema> {
    const program = this.#program();
    return {
      config: JSON.parse(program.printConfig("json")) as JsonObject, // As it was printed.
      text: program.printConfig("yaml"),
      restartNeeded: [...program.restartNeeded()],
    };
  }

  async reload(): Promise<MessageInitShape<typeof ReloadResponseSchema>> {
    const { result, changed, restartNeeded, problems, warnings } = await this.#program().reload();
    return {
      result,
      changed: [...changed],
      restartNeeded: [...restartNeeded],
      problems: [...problems],
      warnings: [...warnings],
    };
  }

  setLogLevel({ level }: SetLogLevelRequest): MessageInitShape<typeof SetLogLevelResponseSchema> {
    const known = logLevels.find((name) => name === level);
    if (known === undefined) {
      const description = `must be one of ${logLevels.join(", ")}`;
      throw invalidArgument(`level ${description}`, [{ field: "level", description }]);
    }
    const program = this.#program();
    const previous = program.logLevel;
    program.logLevel = known;
    return { previous };
  }

  async getPolicy(): Promise<MessageInitShape<typeof GetPolicyResponseSchema>> {
    const rows = await this.#program().policy();
    return { rpcs: rows.map(({ rpc = "", ...policy }) => ({ rpc, policy })) };
  }

  async getUsage({ limit, key }: GetUsageRequest): Promise<MessageInitShape<typeof GetUsageResponseSchema>> {
    try {
      const { used, remaining, resetMs } = await this.#program().app.limits.usage(limit, ...key);
      return {
        used,
        remaining,
        ...(resetMs === undefined ? {} : { reset: durationFromMs(Math.ceil(resetMs)) }),
      };
    } catch (error) {
      if (error instanceof RangeError) throw new ConnectError(error.message, Code.NotFound);
      if (error instanceof TypeError) throw new ConnectError(error.message, Code.InvalidArgument);
      throw error;
    }
  }

  /** @throws ConnectError NOT_FOUND with all names */
  #server(name: string): ServerInfo {
    const { servers } = this.#program().app;
    const found = servers.find((server) => server.name === name);
    if (found !== undefined) return found;
    const names = servers.map((server) => `"${server.name}"`).join(", ");
    throw new ConnectError(`there is no server "${name}"; those of the app are ${names}`, Code.NotFound);
  }
}

function toServer({
  name,
  state,
  isRunning: running,
  addresses,
  isSecure: secure,
  services,
}: ServerInfo): MessageInitShape<typeof ServerSchema> {
  return { name, state, running, addresses: [...addresses], secure, services: [...services] };
}
