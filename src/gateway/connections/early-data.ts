import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { http3Counts } from "../../core/net/http3-counts.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { HttpExchange, RequestHead } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";

/**
 * What happens to requests in early data (RFC 8470): all are refused with 425, or those that may be sent twice are served.
 */
export type EarlyDataPolicy = "refuse" | "safe";

/** What decides about requests in early data. */
export interface EarlyDataParts {
  readonly policy: EarlyDataPolicy;
  /** Whether the other end of a connection is a proxy whose `Early-Data` counts. */
  readonly isProxy: (remote: string | undefined) => boolean;
  /** The rpc that a request is for, by its path and HTTP method; undefined where it is for none. */
  readonly rpcOf: (head: Pick<RequestHead, "method" | "url">) => DescMethod | undefined;
  readonly errors: Pick<ErrorWriter, "send">;
}

/** The header by which a proxy says that a request has come before its client's handshake was complete. */
export const earlyDataHeader = "early-data";

/** The HTTP method by which a request is looked up whose own one is of the same rpc. */
const lookedUpAs: ReadonlyMap<string, string> = new Map([
  ["GET", "GET"],
  ["HEAD", "GET"],
  ["OPTIONS", "GET"],
]);

/**
 * Decides about requests that may be a recording: those in 0-RTT data of a connection, and those of which a trusted proxy
 * says `Early-Data: 1`. From all others the header is taken away. What is served has the metadata `early-data: 1`.
 */
export class EarlyData {
  readonly #parts: EarlyDataParts;

  constructor(parts: EarlyDataParts) {
    this.#parts = parts;
  }

  /** The same for connections with a policy of their own. */
  with(policy: EarlyDataPolicy): EarlyData {
    return new EarlyData({ ...this.#parts, policy });
  }

  /**
   * Whether a request may go on; one that may not was answered with 425, before its body is read.
   *
   * @param isEarly whether it has come in 0-RTT data of its own connection
   */
  admits(exchange: HttpExchange, isEarly = false): boolean {
    const problem = this.problem(exchange, isEarly);
    if (problem === undefined) return true;
    this.#parts.errors.send(exchange, problem);
    return false;
  }

  /** As `admits`, without an answer: the error of a request that may not go on. */
  problem({ head, remoteAddress }: HttpExchange, isEarly = false): HttpError | undefined {
    const { headers } = head;
    const said = headers[earlyDataHeader];
    if (said === undefined && !isEarly) return undefined;
    if (!isEarly && !this.#parts.isProxy(remoteAddress)) {
      delete headers[earlyDataHeader];
      return undefined;
    }
    if (this.#parts.policy === "safe" && this.#isSafe(head)) {
      headers[earlyDataHeader] = "1";
      return undefined;
    }
    http3Counts.earlyRefused++;
    return new HttpError(425, "the request came before the handshake was complete: send it again");
  }

  #isSafe({ method, url }: RequestHead): boolean {
    const known = lookedUpAs.get(method);
    if (known === undefined) return false;
    const rpc = this.#parts.rpcOf({ method: known, url });
    return rpc?.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  }
}
