import { workerId } from "../../src/entries/workers.ts";
import type { HttpServer, ShutdownReport } from "../../src/index.ts";

/** Something that says lines about itself. */
interface Described {
  describe(): readonly string[];
}

/** Prints what servers say of themselves. */
export function print(...servers: readonly (Described | undefined)[]): void {
  say(servers.flatMap((server) => server?.describe() ?? []).join("\n"));
}

/** Prints something that is true of all workers: the first one does. */
export function say(text: string): void {
  if ((workerId() ?? 1) === 1) console.log(text);
}

/** Where an HTTP server can be called. */
export function urlOf({ address, isSecure }: HttpServer): string {
  return `${isSecure ? "https" : "http"}://${address?.host}:${address?.port}`;
}

/** Prints how a program has stopped; of workers their primary does. */
export function printStop({ signal, finished, notified, cut }: ShutdownReport): void {
  if (workerId() !== undefined) return;
  console.log(
    `Stopped by ${signal}: ${finished} calls finished, ${notified.length} notified, ${cut.length} cut`,
  );
}
