import { setTimeout as wait } from "node:timers/promises";
import { Code, ConnectError } from "../core/errors.ts";
import type { StopReport } from "../core/lifecycle.ts";
import { rpcName } from "../core/service.ts";
import type { Exchange } from "./exchange.ts";
import { pathOf } from "./target-path.ts";

/** Who knows the exchanges that are under way. */
export interface ExchangeKeeper {
  readonly inFlight: readonly Exchange[];
  /** Asks answers that never end by themselves to end, those yet to begin too. */
  askToLeave(reason: ConnectError): void;
  /** Resolves when there are none. */
  idle(): Promise<void>;
}

/** Two keepers as one. */
export function both(one: ExchangeKeeper, other: ExchangeKeeper): ExchangeKeeper {
  return {
    get inFlight() {
      return [...one.inFlight, ...other.inFlight];
    },
    askToLeave(reason) {
      one.askToLeave(reason);
      other.askToLeave(reason);
    },
    async idle() {
      await Promise.all([one.idle(), other.idle()]);
    },
  };
}

/** How long calls that were cut may take to answer so, in milliseconds. */
const lastWordsMs = 250;

/**
 * Asks answers that never end by themselves to end, waits for the requests under way, at most `graceMs` milliseconds; then ends their calls with UNAVAILABLE. Whatever
 * is left after that has to lose its connection.
 */
export async function stopExchanges(guard: ExchangeKeeper, graceMs: number): Promise<StopReport> {
  const before = guard.inFlight.length;
  guard.askToLeave(stopping());
  await atMost(guard.idle(), graceMs);
  const cut = guard.inFlight;
  for (const { context } of cut) {
    context?.abort(stopping());
  }
  if (cut.length > 0) await atMost(guard.idle(), lastWordsMs);
  return { finished: Math.max(before - cut.length, 0), cut: cut.map(nameOf) };
}

function stopping(): ConnectError {
  return new ConnectError("the server is shutting down", Code.Unavailable);
}

function nameOf({ context, req }: Exchange): string {
  return context === undefined ? `${req.method} ${pathOf(req.url ?? "")}` : rpcName(context.method);
}

async function atMost(work: Promise<void>, timeoutMs: number): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
}
