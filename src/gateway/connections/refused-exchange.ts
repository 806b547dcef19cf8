import type { DescMethod } from "@bufbuild/protobuf";
import type { ClientAddresses } from "../../core/admission/client-address.ts";
import { type CallObserver, notifyRefusedHead, notifyUnserved } from "../../core/call/observer.ts";
import { refusalKindOf, setRefusalKind } from "../../core/errors/refusal-kind.ts";
import type { RequestHead } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import { asksForWebSocket } from "../http/websocket-handshake.ts";
import { clientOf } from "./client-of.ts";
import type { LiveExchange } from "./live-exchange.ts";

/** What a request was for, as its head says. */
export interface RequestPurpose {
  /** The rpc; undefined where it is for none. */
  rpcOf(head: RequestHead): DescMethod | undefined;
  /** The protocol of the face at its path; undefined where there is none that makes calls. */
  faceOf(head: RequestHead): string | undefined;
}

/**
 * The hook that notifies `observers` of exchanges that have ended before an rpc was called for them: of the others they
 * were notified already. Undefined without observers.
 */
export function refusedExchanges(
  observers: readonly CallObserver[],
  purpose: RequestPurpose,
  addresses: ClientAddresses,
): ((exchange: LiveExchange) => void) | undefined {
  if (observers.length === 0) return undefined;
  return (exchange) => {
    const { call, head, outcome } = exchange;
    const { failure } = head;
    if (call !== undefined) {
      if (failure !== undefined || outcome === 499) notifyUnserved(observers, failure, call);
      return;
    }
    if (failure === undefined || head.continues === true) return;
    const method = purpose.rpcOf(head);
    if (refusalKindOf(failure) === undefined && isUnknown(failure, method)) {
      setRefusalKind(failure, "no_route");
    }
    const protocolName = purpose.faceOf(head) ?? protocolOf(head);
    const sender = {
      requestId: head.requestId,
      get client() {
        return clientOf(exchange, addresses);
      },
    };
    notifyRefusedHead(observers, { method, protocolName, error: failure, sender });
  };
}

/** Whether a request was refused as nothing is served at its path, or not by its HTTP method. */
function isUnknown(failure: object, method: DescMethod | undefined): boolean {
  if (!(failure instanceof HttpError)) return false;
  return failure.status === 404 || (failure.status === 405 && method === undefined);
}

/** The protocol of a request that was refused by its head. */
function protocolOf(head: RequestHead): string {
  const { "content-type": type = "", "connect-protocol-version": connect } = head.headers;
  if (type.startsWith("application/grpc-web")) return "grpc-web";
  if (type.startsWith("application/grpc")) return "grpc";
  if (
    connect !== undefined ||
    type.startsWith("application/connect+") ||
    /[?&]connect=v1(?:&|$)/.test(head.url)
  ) {
    return "connect";
  }
  return asksForWebSocket(head) ? "websocket" : "rest";
}
