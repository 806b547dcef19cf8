import { dial, type DialedTransport } from "../../src/index.ts";

/** The environment variable that chooses what our clients and gateways speak HTTP/2 by. */
export const engineVariable = "TS_MS_BENCH_ENGINE";

/** The engine that the bench chose; nothing where it chose none, for the default one. */
export function chosenEngine(): { readonly engine?: "node" | "own" } {
  const engine = process.env[engineVariable];
  if (engine === undefined) return {};
  if (engine !== "node" && engine !== "own")
    throw new Error(`--engine: there is no ${engine}, but node and own`);
  return { engine };
}

/** `dial` with the engine that the bench chose; several addresses have commas between them. */
export function dialByChoice(target: string): DialedTransport {
  return dial(target.includes(",") ? target.split(",") : target, chosenEngine());
}
