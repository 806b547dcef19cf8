import type { IncomingMessage, ServerResponse } from "node:http";
import type { ConnectionCounts } from "../../core/net/connection-count.ts";
import type { ListenAddress } from "../../core/net/listener.ts";
import type { EarlyData } from "../connections/early-data.ts";
import type { Http1Options } from "../connections/http1-limits.ts";
import type { ExchangeHooks } from "../connections/live-exchange.ts";
import type { ExchangeKeeper } from "../connections/stop-exchanges.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { HttpExchange } from "../http/exchange.ts";
import type { CompleteHead } from "../http/response-head.ts";

/** Key and certificates of a server, as they are now. */
export interface Http3Certificates {
  /** Those of all names: the package knows no others. */
  material(): { readonly key: string | Buffer; readonly cert: string | Buffer };
  /** Calls `listener` whenever they have changed. Returns the function that ends it. */
  onChange(listener: () => void): () => void;
}

/** What a door is served with. */
export interface Http3Kit {
  /** The host of the server, for a door without one of its own. */
  readonly host: string;
  readonly limits: Http1Options;
  readonly errors: ErrorWriter;
  readonly hooks: ExchangeHooks;
  readonly early: EarlyData;
  readonly certificates: Http3Certificates;
  /** Serves a good request; `request` and `response` are the same exchange in Node's API. */
  readonly serve: (exchange: HttpExchange, request: IncomingMessage, response: ServerResponse) => void;
}

/** A door that listens. */
export interface Http3Side extends ExchangeKeeper {
  readonly address: ListenAddress;
  readonly counts: ConnectionCounts;
  /** Completes the heads of later answers by another function; undefined for none. */
  completeHeads(completeHead: CompleteHead | undefined): void;
  /** One line for people. */
  describe(): string;
  /** From now on clients have to send new requests elsewhere. */
  refuseNew(): void;
  /** Closes all connections and the port. */
  close(): Promise<void>;
}
