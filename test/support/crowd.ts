import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** File descriptors that a test may need beside those of its crowds. */
const spare = 1000;

/** Connections that are opened at a time: fewer than wait for a listener to accept them. */
const batch = 100;

/**
 * How many connections to servers of this process each of `crowds` crowds can have: `wanted`, or as many as the limit
 * of open files leaves, which the test then says.
 */
export function crowdSize(t: TestContext, wanted: number, crowds = 1): number {
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } }; // Its documented form.
  const limit = Number(report.userLimits?.open_files?.soft ?? Infinity); // "unlimited" is none.
  const possible = Number.isNaN(limit) ? wanted : Math.floor((limit - spare) / 2 / crowds); // Both ends are here.
  if (possible >= wanted) return wanted;
  t.diagnostic(
    `ONLY ${possible} OF ${wanted} CONNECTIONS: the limit of open files is ${limit} (see ulimit -n)`,
  );
  return Math.max(possible, 1);
}

/**
 * Opens connections that say one of `words` each and no more; each is closed at the end of the test at the latest.
 *
 * @param words by turns; nothing unless given
 */
export async function openCrowd(
  t: TestContext,
  port: number,
  size: number,
  words: readonly Uint8Array[] = [],
): Promise<Socket[]> {
  const crowd: Socket[] = [];
  t.after(() => {
    for (const socket of crowd) socket.destroy();
  });
  while (crowd.length < size) {
    const next = Array.from({ length: Math.min(batch, size - crowd.length) }, (_, index) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      const word = words[(crowd.length + index) % words.length];
      if (word !== undefined && word.length > 0) socket.write(word);
      return socket;
    });
    crowd.push(...next);
    await Promise.all(next.map((socket) => once(socket, "connect")));
    // Node accepts one connection each turn; what its listener cannot keep waiting tries again a second later.
    for (const _ of next) await new Promise((resolve) => setImmediate(resolve));
  }
  return crowd;
}

/** Resolves when every connection of the crowd is closed; rejects after `timeoutMs`. */
export async function crowdLeft(crowd: readonly Socket[], timeoutMs = 30_000): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  for (const socket of crowd) if (!socket.closed) await once(socket, "close", { signal });
}
