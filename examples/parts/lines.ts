import type { HttpServer, ShutdownReport } from "../../src/index.ts";

/** Something that says lines about itself. */
interface Described {
  describe(): readonly string[];
}

/** Prints what servers say of themselves. */
export function print(...servers: readonly (Described | undefined)[]): void {
  console.log(servers.flatMap((server) => server?.describe() ?? []).join("\n"));
}

/** Where an HTTP server can be called. */
export function urlOf({ address, isSecure }: HttpServer): string {
  return `${isSecure ? "https" : "http"}://${address?.host}:${address?.port}`;
}

/** Prints how a program has stopped. */
export function printStop({ signal, finished, notified, cut }: ShutdownReport): void {
  console.log(
    `Stopped by ${signal}: ${finished} calls finished, ${notified.length} notified, ${cut.length} cut`,
  );
}
