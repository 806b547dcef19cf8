import type { AppOptions } from "./app-options.ts";
import type { AppServer } from "./app-server.ts";

/** A server that takes new options while it runs. */
interface Reloadable {
  reload(options: object): void;
}

/** Puts into use what a server can take of the options of its kind. */
export function reloadServer(server: AppServer, options: Pick<AppOptions, "grpc" | "http">): void {
  const { grpc, http } = options;
  if (server.useOptions !== undefined) {
    server.useOptions(options);
  } else if ("http" in server && "grpc" in server) {
    reload(server.http, http); // The two sides of a `OnePort`.
    reload(server.grpc, grpc);
  } else if ("fastify" in server) {
    reload(server, http);
  } else if ("dispatcher" in server) {
    reload(server, grpc);
  }
}

function reload(server: unknown, options: object): void {
  if (canReload(server)) server.reload(options);
}

function canReload(server: unknown): server is Reloadable {
  return (
    typeof server === "object" && server !== null && "reload" in server && typeof server.reload === "function"
  );
}
