import { isDeepStrictEqual } from "node:util";
import type { Catalog, CatalogEntry } from "../../core/discovery/catalog.ts";
import type { ConnectError } from "../../core/errors/errors.ts";

/** What becomes of the upstreams of a catalog. */
export interface CatalogSink {
  /** An upstream is new, or another one than before. */
  put(entry: CatalogEntry): void;
  /** An upstream has been gone for `staleMs`. */
  remove(name: string): void;
  /** The catalog has answered; called after `put` and before `remove`. */
  answered(): void;
  failed(error: ConnectError): void;
}

interface Known {
  entry: CatalogEntry;
  /** Runs once the catalog has the upstream no longer. */
  timer: NodeJS.Timeout | undefined;
}

/** Follows a catalog until the signal fires. */
export function watchCatalog(
  catalog: Catalog,
  staleMs: number,
  sink: CatalogSink,
  signal: AbortSignal,
): void {
  const all = new Map<string, Known>();
  const leave = (name: string, known: Known): void => {
    known.timer ??= setTimeout(() => {
      all.delete(name);
      sink.remove(name);
    }, staleMs).unref();
  };
  catalog.watch(
    {
      update(entries) {
        if (signal.aborted) return;
        const found = new Map<string, CatalogEntry>();
        for (const entry of entries) if (!found.has(entry.name)) found.set(entry.name, entry);
        for (const [name, entry] of found) {
          const known = all.get(name);
          if (known === undefined) all.set(name, { entry, timer: undefined });
          else {
            clearTimeout(known.timer);
            known.timer = undefined;
            if (isSame(known.entry, entry)) continue;
            known.entry = entry;
          }
          sink.put(entry);
        }
        for (const [name, known] of all) if (!found.has(name)) leave(name, known);
        sink.answered();
      },
      failed(error) {
        if (!signal.aborted) sink.failed(error);
      },
    },
    signal,
  );
  signal.addEventListener("abort", () => {
    for (const { timer } of all.values()) clearTimeout(timer);
  });
}

function isSame(a: CatalogEntry, b: CatalogEntry): boolean {
  const { target: aTarget, services: aServices = [], ...aRest } = a;
  const { target: bTarget, services: bServices = [], ...bRest } = b;
  if (aServices.length !== bServices.length || aServices.some((one, place) => one !== bServices[place]))
    return false;
  return isSameTarget(aTarget, bTarget) && isDeepStrictEqual(aRest, bRest);
}

function isSameTarget(a: CatalogEntry["target"], b: CatalogEntry["target"]): boolean {
  if (a === b) return true;
  // A resolver is the same as itself alone.
  return Array.isArray(a) && Array.isArray(b) && isDeepStrictEqual(a, b);
}
