import type { FlagValues, registerFlags } from "../../src/entries/flags.ts";
import { addServerGracefulStop, type GrpcServer, type HttpServer } from "../../src/index.ts";

/** A program that registers itself, and what is known of it. */
interface Registered {
  readonly name: string;
  readonly server: GrpcServer | HttpServer;
  /** How Consul checks it where no client certificate is needed. */
  readonly check: "grpc" | "http";
}

/**
 * Prepares the registration that flags ask for, first in the order of the stop: clients go elsewhere while the program
 * still serves.
 *
 * @returns registers the program
 */
export async function registered(
  flags: FlagValues<typeof registerFlags> & { readonly tlsClient: string },
  { name, server, check }: Registered,
): Promise<() => Promise<void>> {
  if (flags.register === undefined) return async () => {};
  const { registerProgram } = await import("../../src/entries/consul.ts");
  const way = flags.tlsClient === "required" ? "ttl" : check;
  const registration = registerProgram(flags, { name, server, check: way });
  addServerGracefulStop(registration);
  return async () => {
    await registration.start();
    console.log(registration.describe().join("\n"));
  };
}
