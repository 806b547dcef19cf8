import type { CallContext } from "../../core/call/context.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import type { RequestHead } from "./exchange.ts";
import type { RequestRecord } from "./request-record.ts";

/** What has read a request over HTTP/1.1: the fast lane, or the parser of Node. */
export type Http1Lane = "fast" | "node";

/** A request that was answered, or whose client has disconnected. */
export interface EndedRequest {
  readonly head: RequestHead;
  /** Template of the route; undefined if no route answered. */
  readonly route: string | undefined;
  /** The status that was sent: 499 if the client has disconnected before, 101 for a WebSocket. */
  readonly outcome: number;
  /** Its call; undefined for requests that call no rpc. */
  readonly call: CallContext | undefined;
  /** When its head had come, in `performance.now()` milliseconds. */
  readonly arrivedAt: number;
  readonly record: RequestRecord;
  readonly peer: PeerIdentity | undefined;
  /** Whether its connection is by TLS. */
  readonly isSecure: boolean;
  /** Address of the client: behind trusted proxies what they say, else that of the connection. */
  readonly client: string;
}

/**
 * Observes all HTTP requests, for metrics by route. An exception of an observer becomes a warning of the process and
 * changes nothing for the request.
 */
export interface HttpObserver {
  /** As `httpRequest`, with everything that is known of the request. Of WebSockets it is told when they are open. */
  requestEnded?(request: EndedRequest): void;
  /**
   * A request was answered, or its client has disconnected (status 499).
   *
   * @param route template of the route, or `(none)` if no route answered
   * @param seconds time from the request's head to the end of the answer
   * @param lane what has read the request; undefined over other versions of HTTP, and in an app that listens itself
   */
  httpRequest?(route: string, method: string, status: number, seconds: number, lane?: Http1Lane): void;
  /** A request of MCP was answered. @param outcome `ok`, `failed` for an error of an rpc, `refused` for one of the protocol */
  mcpRequest?(method: string, outcome: string): void;
  /** Query parameters or JSON fields were ignored as unknown. */
  ignoredUnknown?(route: string, kind: "query" | "field", count: number, name: string): void;
  /** Something has happened to an operation of GraphQL. */
  graphql?(event: GraphqlEvent): void;
}

/** What happens to operations of GraphQL. */
export type GraphqlEvent =
  /** One was executed; `partial`: with errors, and data nevertheless. */
  | {
      readonly kind: "operation";
      readonly type: "query" | "mutation" | "subscription";
      readonly outcome: "ok" | "partial" | "failed";
      readonly seconds: number;
    }
  /** One was not executed. */
  | { readonly kind: "refused"; readonly reason: string }
  /** Keys were asked for by one call. */
  | { readonly kind: "batch"; readonly keys: number };
