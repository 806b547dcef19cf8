import type { DescService } from "@bufbuild/protobuf";
import type { ConnectError } from "../errors/errors.ts";
import type { Endpoint, Resolver } from "./resolver.ts";

/** Where the contracts of an upstream come from. */
export type UpstreamContract =
  /** The server's own reflection. */
  | "reflection"
  /** Files with a binary `FileDescriptorSet`. */
  | { readonly descriptors: string | readonly string[] }
  /** `.proto` sources, and the folders in which they and their imports are searched. */
  | { readonly proto: string | readonly string[]; readonly paths?: readonly string[] }
  /** Those of another upstream, by its name. */
  | { readonly sameAs: string };

/** One upstream that a catalog has found. */
export interface CatalogEntry {
  /** Unique in the catalog; label of metrics, and first word of errors. */
  readonly name: string;
  /**
   * An address, addresses or endpoints, or a resolver, which should be the same object for as long as the entry is the
   * same: another one is another target.
   */
  readonly target: string | readonly (string | Endpoint)[] | Resolver;
  /** Default: `reflection`. */
  readonly contract?: UpstreamContract;
  /** The services themselves, in place of `contract`. Default: none. */
  readonly services?: readonly DescService[];
  /** Names of the services to serve. Default: all but health, reflection and channelz. */
  readonly only?: readonly string[];
  /** Whether the gateway is ready only if this upstream can be called. Default: false. */
  readonly required?: boolean;
}

/** Takes what a catalog finds. */
export interface CatalogListener {
  /** All upstreams that there are now, in any order. */
  update(entries: readonly CatalogEntry[]): void;
  /** The upstreams could not be found out. Those of the last update stay. */
  failed(error: ConnectError): void;
}

/** Finds the upstreams of a gateway, and follows their changes. */
export interface Catalog {
  /** Where it looks: `consul`, `k8s`, …; a word of logs and statistics. */
  readonly name: string;
  /**
   * Begins to find upstreams. Tries again by itself after a failure.
   *
   * @param signal fires when they are no longer wanted; nothing of the catalog may keep the process alive
   */
  watch(listener: CatalogListener, signal: AbortSignal): void;
}
