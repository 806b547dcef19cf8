import { dial, type DialedTransport } from "../../src/index.ts";

/** The environment variable that chooses the engine of our clients. */
export const engineVariable = "TS_MS_BENCH_ENGINE";

/** `dial` with the engine that the bench chose; the default one if it chose none. */
export function dialByChoice(target: string): DialedTransport {
  const engine = process.env[engineVariable];
  if (engine === undefined) return dial(target);
  if (engine !== "node" && engine !== "own")
    throw new Error(`--engine: there is no ${engine}, but node and own`);
  return dial(target, { engine });
}
