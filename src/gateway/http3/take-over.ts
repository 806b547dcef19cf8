import { setTimeout as wait } from "node:timers/promises";
import { DoorInUse } from "./door-in-use.ts";
import type { Http3Door } from "./http3-door.ts";
import type { Http3Kit, Http3Side } from "./http3-kit.ts";

/** Pause between two tries to bind the port, in milliseconds. */
const pauseMs = 500;

/**
 * Opens the door in a worker. One that takes the place of another finds the port in use until that has ended: it tries
 * again behind its start, and until then clients use TCP.
 *
 * @param opened called with the door once it is open
 * @param failed called with what is in its way behind the start, when the port is free: clients go on by TCP
 * @param signal ends the waiting
 * @throws SetupError or Error for all else that is in its way at the start
 */
export async function takeOver(
  door: Http3Door,
  kit: Http3Kit,
  opened: (side: Http3Side) => void,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const isOpen = async (): Promise<boolean> => {
    try {
      opened(await door.listen(kit));
      return true;
    } catch (error) {
      if (error instanceof DoorInUse) return false;
      throw error;
    }
  };
  if (!(await isOpen())) openLater(isOpen, signal).catch(failed);
}

async function openLater(isOpen: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  do {
    await wait(pauseMs, undefined, { signal, ref: false }).catch(() => {});
  } while (!signal.aborted && !(await isOpen()));
}
