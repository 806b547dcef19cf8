import type { Server } from "node:http";
import type { TurnExchange } from "./turn-exchange.ts";

/** Options of `watchWrites`. */
export interface WriteWatchOptions {
  /** How long a client may read nothing of a pending answer, in milliseconds. */
  readonly writeIdleMs: number;
  /** How often `writeIdleMs` is checked, in milliseconds. */
  readonly connectionsCheckingIntervalMs: number;
}

/**
 * Closes connections of `server` whose client reads nothing of an answer that was written whole, which would stay in
 * memory forever. `StreamWriter` does the same for streamed answers. One interval checks all connections.
 */
export function watchWrites(
  server: Server,
  exchanges: Iterable<Pick<TurnExchange, "writableEnded" | "writableFinished" | "socket">>,
  options: WriteWatchOptions,
): void {
  const { connectionsCheckingIntervalMs } = options;
  const clock = setInterval(() => {
    const { writeIdleMs } = options; // A reload may have changed it.
    if (writeIdleMs === 0) return;
    for (const { writableEnded, writableFinished, socket } of exchanges) {
      // Node destroys a socket after its timeout; every byte that the client reads restarts it.
      if (!writableEnded || writableFinished || socket === null) continue;
      if ((socket.timeout ?? 0) === 0) socket.setTimeout(writeIdleMs);
    }
  }, connectionsCheckingIntervalMs).unref();
  server.once("close", () => clearInterval(clock));
}
