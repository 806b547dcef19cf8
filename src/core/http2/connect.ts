import type { Target } from "../net/target.ts";
import { connectByOwnEngine } from "./client-connect.ts";
import type { ConnectOptions, ConnectTo } from "./connect-options.ts";
import type { ConnectionEngine } from "./connection-options.ts";
import type { Connected } from "./session.ts";

/**
 * Connects to the first address of `target` where a server speaks HTTP/2. A host name stands for all its addresses of
 * both families, which Node tries as RFC 8305 says.
 *
 * @param connectBy connects in place of an engine; undefined for the engine
 * @throws ConnectError UNAVAILABLE if every address fails.
 */
export async function connectToAny(
  target: Target,
  engine: ConnectionEngine,
  options: ConnectOptions,
  connectBy?: ConnectTo,
): Promise<Connected> {
  const connectTo = connectBy ?? (await byEngine(engine));
  let failure: unknown;
  for (const address of target.addresses) {
    try {
      return await connectTo(address, target, options);
    } catch (error) {
      failure = error;
      if (options.signal.aborted) break;
    }
  }
  throw failure;
}

async function byEngine(engine: ConnectionEngine): Promise<ConnectTo> {
  // Programs without it load nothing of `node:http2`.
  return engine === "own" ? connectByOwnEngine : (await import("./http2-connect.ts")).connectByNode;
}
