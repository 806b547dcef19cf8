import type { Catalog } from "../../core/discovery/catalog.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { watchCatalog } from "./catalog-watch.ts";
import type { UpstreamSet } from "./upstream-set.ts";
import { upstreamParts, type UpstreamInit } from "./upstreams-options.ts";

/** What is fed, and who is told. */
export interface CatalogFeed {
  readonly set: UpstreamSet;
  /** How long an upstream is served after the catalog has it no longer, in milliseconds. */
  readonly staleMs: number;
  /** All that the catalog has answered is in the set. */
  readonly answered: () => void;
  readonly warn: (fields: object, text: string) => void;
  readonly signal: AbortSignal;
}

/** Puts what a catalog finds into a set of upstreams, until the signal fires. */
export function feedCatalog(catalog: Catalog, { set, staleMs, answered, warn, signal }: CatalogFeed): void {
  const sink = {
    put: ({ name, ...init }: { readonly name: string } & UpstreamInit) => {
      try {
        set.putOfCatalog(name, upstreamParts(name, init, false));
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        warn({ upstream: name }, error.message);
      }
    },
    remove: (name: string) => set.removeOfCatalog(name),
    answered,
    failed: (err: Error & { readonly rawMessage: string }) =>
      warn({ err }, `the catalog cannot be read: ${err.rawMessage}`),
  };
  watchCatalog(catalog, staleMs, sink, signal);
}
