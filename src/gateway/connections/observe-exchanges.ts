import type { ClientAddresses } from "../../core/admission/client-address.ts";
import { notify } from "../../core/call/observer.ts";
import type { HttpObserver } from "../http/http-observer.ts";
import { RequestRecord } from "../http/request-record.ts";
import type { CompleteHead } from "../http/response-head.ts";
import { clientOf } from "./client-of.ts";
import type { ExchangeHooks, LiveExchange } from "./live-exchange.ts";

/** The observers of exchanges that have ended. */
export interface ExchangeObservers {
  readonly observers: readonly HttpObserver[];
  /** Notifies observers of calls, as `refusedExchanges`; undefined where there are none. */
  readonly refused: ((exchange: LiveExchange) => void) | undefined;
}

/**
 * Adds to `hooks` what notifies observers of every exchange that has ended. Where one of them takes whole requests, each
 * exchange gets a record of what is counted for that.
 */
export function observeExchanges(
  { observers, refused }: ExchangeObservers,
  addresses: ClientAddresses,
  hooks: Omit<ExchangeHooks, "onClose">,
): ExchangeHooks {
  if (observers.length === 0) return { ...hooks, onClose: refused };
  if (observers.every((observer) => observer.requestEnded === undefined)) {
    return {
      ...hooks,
      onClose(exchange) {
        refused?.(exchange);
        short(observers, exchange);
      },
    };
  }
  return {
    onHead(exchange) {
      exchange.head.record = new RequestRecord();
      hooks.onHead?.(exchange);
    },
    completeHead: recorded(hooks.completeHead),
    onClose(exchange) {
      refused?.(exchange); // First, as it sets the kind of a refusal that observers of requests read.
      short(observers, exchange);
      whole(observers, exchange, addresses);
    },
  };
}

function short(observers: readonly HttpObserver[], exchange: LiveExchange): void {
  const { route = "(none)", head, outcome, arrivedAt, lane } = exchange;
  const seconds = (performance.now() - arrivedAt) / 1000;
  notify(observers, (observer) => observer.httpRequest?.(route, head.method, outcome, seconds, lane));
}

function whole(observers: readonly HttpObserver[], exchange: LiveExchange, addresses: ClientAddresses): void {
  const { head, route, outcome, call, arrivedAt, peer, isSecure } = exchange;
  const { record } = head;
  if (record === undefined) return;
  const client = clientOf(exchange, addresses);
  const request = { head, route, outcome, call, arrivedAt, record, peer, isSecure, client };
  notify(observers, (observer) => observer.requestEnded?.(request));
}

/** Notes when the head of an answer is written, and how long its body is if that is known. */
function recorded(complete: CompleteHead | undefined): CompleteHead {
  return (exchange, response, status) => {
    const { record, method } = exchange.head;
    if (record !== undefined) {
      record.answeredAt = performance.now();
      const length = response.getHeader("content-length");
      if (length !== undefined && method !== "HEAD") record.bytesOut = Number(length);
    }
    complete?.(exchange, response, status);
  };
}
