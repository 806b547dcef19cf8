import type { ConnectError } from "../errors/errors.ts";
import type { ClusterState } from "./cluster-options.ts";
import { closedError, unavailable } from "./refusals.ts";

/** A cluster as `untilReady` sees it. */
export interface AwaitedCluster {
  readonly name: string;
  readonly state: ClusterState;
  onChange(fn: () => void): () => void;
  /** Shortens the pauses of endpoints that fail. */
  hasten(): void;
}

/** Pauses of endpoints that fail are shortened so often, in milliseconds. */
const hastenMs = 500;

/**
 * Resolves as soon as calls can be made.
 *
 * @throws ConnectError UNAVAILABLE if `signal` fires before, or the cluster is closed.
 */
export function untilReady(cluster: AwaitedCluster, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    // While endpoints fail, nothing else keeps the process for the promise.
    const hold = setInterval(() => cluster.hasten(), hastenMs);
    const settle = (error?: ConnectError): void => {
      clearInterval(hold);
      unwatch();
      signal?.removeEventListener("abort", aborted);
      if (error === undefined) resolve();
      else reject(error);
    };
    const aborted = (): void => settle(unavailable(`${cluster.name}: not connected in time`, signal?.reason));
    const check = (): void => {
      const { state } = cluster;
      if (state === "ready") settle();
      else if (state === "closed") settle(closedError(cluster.name));
    };
    const unwatch = cluster.onChange(check);
    if (signal?.aborted === true) {
      aborted();
      return;
    }
    signal?.addEventListener("abort", aborted, { once: true });
    check();
  });
}
