import type { Message } from "@bufbuild/protobuf";
import DataLoader from "dataloader";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import type { Operation } from "./operation.ts";
import type { Batch, Reference } from "./reference.ts";

/** What an operation has asked for by its references; each key once. */
export class Loaders {
  readonly #call: Operation["unary"];
  readonly #options: Pick<GraphqlOptions, "maxBatch" | "batchMs">;
  readonly #sizes: (keys: number) => void;
  readonly #loaders = new Map<string, DataLoader<string, unknown>>();

  /** @param sizes is told how many keys each call of a batch rpc has */
  constructor(
    call: Operation["unary"],
    options: Pick<GraphqlOptions, "maxBatch" | "batchMs">,
    sizes: (keys: number) => void,
  ) {
    this.#call = call;
    this.#options = options;
    this.#sizes = sizes;
  }

  load(reference: Reference, key: string): Promise<unknown> {
    let loader = this.#loaders.get(reference.key);
    if (loader === undefined) this.#loaders.set(reference.key, (loader = this.#loaderOf(reference)));
    return loader.load(key);
  }

  #loaderOf({ one, batch }: Reference): DataLoader<string, unknown> {
    const { maxBatch, batchMs } = this.#options;
    const findOne = async (key: string): Promise<unknown> =>
      one.read(await this.#call(one.method, one.request(key))) ?? null;
    if (batch === undefined)
      return new DataLoader((keys) => Promise.all(keys.map((key) => findOne(key).catch(asError))));
    const findAll = (keys: readonly string[]): Promise<unknown[]> => this.#findAll(batch, keys);
    return new DataLoader(findAll, {
      maxBatchSize: maxBatch,
      ...(batchMs > 0 && { batchScheduleFn: (run: () => void) => void setTimeout(run, batchMs) }),
    });
  }

  /** What keys refer to, or the errors of those that are not found: they do not take the others with them. */
  async #findAll(batch: Batch, keys: readonly string[]): Promise<unknown[]> {
    try {
      this.#sizes(keys.length);
      const found = batch.read(await this.#call(batch.method, batch.request(keys)));
      return keys.map(matched(batch, keys, found));
    } catch (reason) {
      if (!isNotFound(reason) || keys.length === 1) return keys.map(() => asError(reason));
      const middle = Math.ceil(keys.length / 2);
      const halves = [keys.slice(0, middle), keys.slice(middle)];
      return (await Promise.all(halves.map((half) => this.#findAll(batch, half)))).flat();
    }
  }
}

/** Finds the message of a key: by its key field, by position only where messages have none. */
function matched(
  { keyOf }: Batch,
  keys: readonly string[],
  found: readonly Message[],
): (key: string, at: number) => unknown {
  const missing = (key: string): ConnectError =>
    new ConnectError(`${JSON.stringify(key)} was not found`, Code.NotFound);
  if (keyOf !== undefined) {
    const byKey = new Map(found.map((one) => [keyOf(one), one]));
    return (key) => byKey.get(key) ?? missing(key);
  }
  const fits = found.length === keys.length;
  return (key, at) => (fits ? found[at] : missing(key));
}

function isNotFound(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.NotFound;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
