import { setTimeout as wait } from "node:timers/promises";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { noticeAfterMs, type StopReport } from "../../core/lifecycle/lifecycle.ts";
import { rpcName } from "../../core/call/service.ts";
import type { LiveExchange } from "./live-exchange.ts";
import { pathOf } from "../../core/net/request-target.ts";

/** Who knows the exchanges that are under way. */
export interface ExchangeKeeper {
  readonly inFlight: readonly LiveExchange[];
  /** The server stops: answers whose clients come again by themselves do not begin any more. */
  stopBeginning(reason: ConnectError): void;
  /** Resolves when there are none. */
  idle(): Promise<void>;
}

/** Two keepers as one. */
export function both(one: ExchangeKeeper, other: ExchangeKeeper): ExchangeKeeper {
  return {
    get inFlight() {
      return [...one.inFlight, ...other.inFlight];
    },
    stopBeginning(reason) {
      one.stopBeginning(reason);
      other.stopBeginning(reason);
    },
    async idle() {
      await Promise.all([one.idle(), other.idle()]);
    },
  };
}

/** How long calls that were cut may take to answer so, in milliseconds. */
const lastWordsMs = 250;

/**
 * Waits for the requests under way, at most `graceMs` milliseconds. Streams of replies that run on and can say so are
 * ended with UNAVAILABLE shortly before (`noticeAfterMs`), all other calls after it. Whatever is left after that has to
 * lose its connection.
 */
export async function stopExchanges(keeper: ExchangeKeeper, graceMs: number): Promise<StopReport> {
  const before = keeper.inFlight.length;
  const noticeMs = noticeAfterMs(graceMs);
  keeper.stopBeginning(stopping());
  await atMost(keeper.idle(), noticeMs);
  const told = keeper.inFlight
    .filter(({ onStop }) => onStop !== undefined)
    .map((exchange) => ({ exchange, name: nameOf(exchange) }));
  for (const { exchange } of told) exchange.onStop?.(stopping());
  if (keeper.inFlight.length > 0) await atMost(keeper.idle(), graceMs - noticeMs);
  const cut = keeper.inFlight;
  for (const { call } of cut) call?.abort(stopping());
  if (cut.length > 0) await atMost(keeper.idle(), lastWordsMs);
  const notified = told.filter(({ exchange }) => !cut.includes(exchange)).map(({ name }) => name);
  return {
    finished: Math.max(before - cut.length - notified.length, 0),
    notified,
    cut: cut.map(nameOf),
  };
}

function stopping(): ConnectError {
  return new ConnectError("the server is shutting down", Code.Unavailable);
}

function nameOf({ call, head }: LiveExchange): string {
  return call === undefined ? `${head.method} ${pathOf(head.url)}` : rpcName(call.method);
}

async function atMost(work: Promise<void>, timeoutMs: number): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
}
