import type { UpstreamContract } from "../../core/discovery/catalog.ts";
import { keepLoaded } from "../../core/schema/schema-loader.ts";
import { reflectionSource } from "../../core/schema/reflection-source.ts";
import {
  descriptorSetSource,
  protoSource,
  type Schema,
  type SchemaSource,
} from "../../core/schema/schema.ts";
import type { UpstreamEntry } from "./upstream-entry.ts";

/** What becomes of the contracts of an upstream. */
export interface ContractListener {
  loaded(schema: Schema): void;
  /** @param retryMs time until the next attempt, in milliseconds */
  failed(reason: unknown, retryMs: number): void;
}

/**
 * Loads the contracts of an upstream: with retries until they are loaded, those of reflection again as its connections
 * were lost and are restored. Ends with the upstream.
 */
export function keepContract(entry: UpstreamEntry, listener: ContractListener): void {
  const { contract } = entry.parts;
  const { signal } = entry;
  const source = sourceOf(entry);
  if (source === undefined) return;
  // Files do not change as a server restarts.
  const never = { state: "ready", ready: () => Promise.resolve(), onChange: () => () => {} };
  const upstream = contract === "reflection" ? entry : never;
  const apply = (schema: Schema): void => listener.loaded(schema);
  const onFailure = (reason: unknown, retryMs: number): void => listener.failed(reason, retryMs);
  keepLoaded({ source, upstream, apply, onFailure, signal }).catch(() => {
    // A transport that its owner has closed is not connected again.
  });
}

function sourceOf(entry: UpstreamEntry): SchemaSource | undefined {
  const { contract, only } = entry.parts;
  return contract === "reflection" ? reflectionSource(entry.transport, only) : fileSource(contract, only);
}

/**
 * The files that have the contracts of an upstream; undefined where there are none.
 *
 * @param only names of the services to serve; none for all
 */
export function fileSource(contract: UpstreamContract, only: readonly string[]): SchemaSource | undefined {
  if (contract === "reflection") return undefined;
  if ("descriptors" in contract) return descriptorSetSource(texts(contract.descriptors), only);
  if ("proto" in contract) return protoSource(texts(contract.proto), contract.paths, only);
  return undefined; // The contracts of another upstream are not loaded twice.
}

function texts(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}
