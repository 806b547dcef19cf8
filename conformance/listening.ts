import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A free port, for tools that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // It is listening.
  server.close();
  return port;
}

/**
 * Resolves when `child` listens on `port`; rejects if it exits or does not listen in time.
 *
 * @param maxMs in milliseconds. Default: 10 seconds
 */
export async function listening(child: ChildProcess, port: number, maxMs = 10_000): Promise<void> {
  for (const end = performance.now() + maxMs; performance.now() < end;) {
    if (child.exitCode !== null) break;
    const socket = connect(port, "127.0.0.1");
    const answered = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (answered) return;
    await delay(50);
  }
  throw new Error(`${child.spawnfile} does not listen`);
}
