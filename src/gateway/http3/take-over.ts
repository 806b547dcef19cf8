import { setTimeout as wait } from "node:timers/promises";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Http3Door } from "./http3-door.ts";
import type { Http3Kit, Http3Side } from "./http3-kit.ts";

/** Pause between two tries to bind the port, in milliseconds. */
const pauseMs = 500;

/**
 * Opens the door in a worker that takes the place of another one, which has the port until it has ended: until then clients
 * use TCP.
 *
 * @param opened called with the door once it is open
 * @param signal ends the waiting
 */
export async function takeOver(
  door: Http3Door,
  kit: Http3Kit,
  opened: (side: Http3Side) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      opened(await door.listen(kit));
      return;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
    }
    await wait(pauseMs, undefined, { signal, ref: false }).catch(() => {});
  }
}
