import type { Server } from "node:http";
import type { TurnExchange } from "./turn-exchange.ts";

/** Options of `watchWrites`. */
export interface WriteWatchOptions {
  /** How long a client may take nothing of an answer that waits for it, in milliseconds. */
  readonly writeIdleMs: number;
  /** How often that is looked at, in milliseconds. */
  readonly connectionsCheckingIntervalMs: number;
}

/**
 * Closes connections of `server` whose client takes nothing of an answer that was written whole, and would hold it in
 * memory for ever. Answers in pieces have a watch of their own. One clock looks after all of them.
 */
export function watchWrites(
  server: Server,
  exchanges: Iterable<Pick<TurnExchange, "writableEnded" | "writableFinished" | "socket">>,
  options: WriteWatchOptions,
): void {
  const { writeIdleMs, connectionsCheckingIntervalMs } = options;
  if (writeIdleMs === 0) return;
  const clock = setInterval(() => {
    for (const { writableEnded, writableFinished, socket } of exchanges) {
      // The engine destroys a socket whose time is out; every byte that the client takes begins it anew.
      if (!writableEnded || writableFinished || socket === null) continue;
      if ((socket.timeout ?? 0) === 0) socket.setTimeout(writeIdleMs);
    }
  }, connectionsCheckingIntervalMs).unref();
  server.once("close", () => clearInterval(clock));
}
