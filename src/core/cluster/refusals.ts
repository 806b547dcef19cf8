import { Code, ConnectError } from "../errors/errors.ts";
import type { ClusterEndpoint } from "./endpoint.ts";

/** The error of calls after the end of a client. */
export function closedError(name: string): ConnectError {
  return unavailable(`${name}: the client is closed`);
}

/** The error of a call for which there is no place in the queue. */
export function fullError(name: string, waiting: number): ConnectError {
  return unavailable(`${name}: ${waiting} calls wait for a stream`);
}

/** The error of calls while none of the endpoints can be called. @param endpoints one at least */
export function unreachableError(name: string, endpoints: readonly ClusterEndpoint[]): ConnectError {
  const { length } = endpoints;
  const count = length === 1 ? "its only endpoint is not" : `none of ${length} endpoints is`;
  const want = endpoints.some(({ state }) => state === "not_serving") ? "serving" : "reachable";
  return unavailable(`${name}: ${count} ${want}`, causeOf(endpoints));
}

/** The addresses are for the log: the texts of errors may reach strangers. */
function causeOf(endpoints: readonly ClusterEndpoint[]): Error | undefined {
  const texts = endpoints.flatMap(({ known, pool }) =>
    pool.failure === undefined ? [] : [`${known.address}: ${pool.failure.rawMessage}`],
  );
  const more = texts.length > 3 ? `, and ${texts.length - 3} more` : "";
  return texts.length === 0 ? undefined : new Error(texts.slice(0, 3).join("; ") + more);
}

/** An error of this side. @param cause may name addresses */
export function unavailable(text: string, cause?: unknown): ConnectError {
  return new ConnectError(text, Code.Unavailable, undefined, undefined, cause);
}
