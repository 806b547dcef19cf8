import { setTimeout as wait } from "node:timers/promises";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { noticeAfterMs, type StopReport } from "../../core/lifecycle/lifecycle.ts";
import { rpcName } from "../../core/call/service.ts";
import type { LiveExchange } from "./live-exchange.ts";
import { pathOf } from "../../core/net/request-target.ts";

/** Tracks exchanges in flight. */
export interface ExchangeKeeper {
  readonly inFlight: readonly LiveExchange[];
  /** The server stops: from now on answers that clients reopen by themselves do not begin. */
  stopBeginning(reason: ConnectError): void;
  /** Resolves when no exchange is in flight. */
  idle(): Promise<void>;
}

/** Combines two keepers. */
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

/** How long aborted calls may take to send their errors, in milliseconds. */
const abortGraceMs = 250;

/**
 * Waits for the requests in flight, at most `graceMs` milliseconds. Streams of replies that can report an error to
 * their client are ended with UNAVAILABLE shortly before that time (`noticeAfterMs`), all other calls after it. The
 * caller closes the connections of exchanges that are still in flight then.
 */
export async function stopExchanges(keeper: ExchangeKeeper, graceMs: number): Promise<StopReport> {
  const before = keeper.inFlight.length;
  const noticeMs = noticeAfterMs(graceMs);
  keeper.stopBeginning(stopping());
  for (const { call, innerCalls } of keeper.inFlight) {
    call?.drain();
    innerCalls?.drain();
  }
  await atMost(keeper.idle(), noticeMs);
  const ended = keeper.inFlight
    .filter(({ onStop }) => onStop !== undefined)
    .map((exchange) => ({ exchange, name: nameOf(exchange) }));
  for (const { exchange } of ended) exchange.onStop?.(stopping());
  if (keeper.inFlight.length > 0) await atMost(keeper.idle(), graceMs - noticeMs);
  const cut = keeper.inFlight;
  for (const { call, innerCalls } of cut) {
    call?.abort(stopping());
    innerCalls?.abort(stopping());
  }
  if (cut.length > 0) await atMost(keeper.idle(), abortGraceMs);
  const notified = ended.filter(({ exchange }) => !cut.includes(exchange)).map(({ name }) => name);
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
