import { notify } from "../../core/call/observer.ts";
import type { HttpObserver } from "../http/http-observer.ts";
import type { ExchangeHooks } from "./live-exchange.ts";

/** Calls `observers` for every exchange that has ended; undefined where there are none. */
export function exchangeObserver(observers: readonly HttpObserver[]): ExchangeHooks["onClose"] {
  if (observers.length === 0) return undefined;
  return ({ route = "(none)", head, outcome, arrivedAt, lane }) => {
    const seconds = (performance.now() - arrivedAt) / 1000;
    notify(observers, (observer) => observer.httpRequest?.(route, head.method, outcome, seconds, lane));
  };
}
