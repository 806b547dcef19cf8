import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { App } from "../../../src/app/app.ts";
import type { ConfigInit } from "../../../src/core/config/loader/config-types.ts";
import { Echo } from "../../support/echo-service.ts";

/** An app of a configuration, with an `Echo`, free ports and no metrics page, not started. */
export async function loadApp(overrides: ConfigInit = {}, argv: readonly string[] = []): Promise<App> {
  const defaults: ConfigInit = {
    http: { port: 0 },
    grpc: { port: 0 },
    telemetry: { metrics: { port: "off" }, log: { level: "silent" } },
    overload: { enabled: false }, // A busy machine is no reason to refuse calls here.
  };
  const app = await App.load({ argv, env: {}, defaults, overrides });
  return app.addService(new Echo());
}

/** Where a server of an app listens. */
export function addressOf(app: App, name: string): string {
  const [address] = app.servers.find((server) => server.name === name)?.addresses ?? [];
  return address ?? assert.fail(`${name} listens nowhere`);
}

/** A port that something else listens on. */
export async function takenPort(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // It listens.
  return { port, [Symbol.asyncDispose]: async () => void server.close() };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  await using taken = await takenPort();
  return taken.port;
}
