import type { Transport } from "@connectrpc/connect";
import type { Invoker } from "../call/invoker.ts";
import { toInvoker } from "../call/transport.ts";
import { hasFunctions, show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";

/** What calls can be sent to. */
export interface Reachable {
  readonly invoker: Invoker;
  /** Whether no server of it can be reached, as far as is known. */
  isAway(): boolean;
  /** Makes it connect, although no call is sent to it. */
  wake(): void;
}

/** The parts of a dialled transport or invoker that say whether it can be reached. */
export interface Watched {
  readonly state?: string;
  ready?(signal?: AbortSignal): Promise<void>;
}

/** An invoker with the connections below it, if it has any. */
export function reachable(invoker: Invoker, watched: Watched): Reachable {
  let isWaking = false;
  return {
    invoker,
    isAway: () => watched.state === "transient-failure" || watched.state === "closed",
    wake() {
      if (isWaking || watched.ready === undefined) return;
      isWaking = true;
      const woken = (): void => void (isWaking = false);
      watched.ready().then(woken, woken);
    },
  };
}

/** A transport as `reachable`. @throws SetupError for a value that is none */
export function reachableTransport(transport: Transport, place: string): Reachable {
  if (!hasFunctions(transport, "unary", "stream")) {
    throw new SetupError(`${place} must be a transport, not ${show(transport)}`);
  }
  return reachable(toInvoker(transport), transport as Transport & Watched); // Those of `dial` are watched.
}
