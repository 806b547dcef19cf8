import { isDeepStrictEqual } from "node:util";
import type { Catalog, CatalogEntry } from "../../core/discovery/catalog.ts";
import type { ConnectError } from "../../core/errors/errors.ts";

/** What becomes of the upstreams of a catalog. */
export interface CatalogSink {
  /** An upstream is new, or another one than before. */
  put(entry: CatalogEntry): void;
  /** An upstream has been gone for `staleMs`. */
  remove(name: string): void;
  /** All that the catalog has answered was put. */
  answered(): void;
  failed(error: ConnectError): void;
}

interface Known {
  entry: CatalogEntry;
  /** Runs once the catalog has the upstream no longer. */
  timer: NodeJS.Timeout | undefined;
}

/** So long one turn of the event loop may take, in milliseconds: other calls wait for it. */
const turnMs = 2;

/** Follows a catalog until the signal fires. */
export function watchCatalog(
  catalog: Catalog,
  staleMs: number,
  sink: CatalogSink,
  signal: AbortSignal,
): void {
  const all = new Map<string, Known>();
  const pending = new Set<string>();
  let isPutting = false;
  const putSome = (): void => {
    const startedMs = performance.now();
    for (const name of pending) {
      if (signal.aborted) return;
      pending.delete(name);
      const known = all.get(name);
      if (known !== undefined) sink.put(known.entry);
      if (pending.size > 0 && performance.now() - startedMs > turnMs) {
        setImmediate(putSome);
        return;
      }
    }
    isPutting = false;
    sink.answered();
  };
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
        const found = new Set<string>();
        for (const entry of entries) {
          const { name } = entry;
          if (found.has(name)) continue; // The first of a name is the one.
          found.add(name);
          const known = all.get(name);
          if (known === undefined) all.set(name, { entry, timer: undefined });
          else {
            clearTimeout(known.timer);
            known.timer = undefined;
            if (isSame(known.entry, entry)) continue;
            known.entry = entry;
          }
          pending.add(name);
        }
        for (const [name, known] of all) if (!found.has(name)) leave(name, known);
        if (isPutting) return;
        isPutting = true;
        putSome();
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
  if (a === b) return true;
  const { target: aTarget, services: aServices = [], ...aRest } = a;
  const { target: bTarget, services: bServices = [], ...bRest } = b;
  if (aServices.length !== bServices.length || aServices.some((one, place) => one !== bServices[place])) {
    return false;
  }
  return isSameTarget(aTarget, bTarget) && isDeepStrictEqual(aRest, bRest);
}

function isSameTarget(a: CatalogEntry["target"], b: CatalogEntry["target"]): boolean {
  if (a === b) return true;
  // A resolver is the same as itself alone.
  return Array.isArray(a) && Array.isArray(b) && isDeepStrictEqual(a, b);
}
