import type { StreamSources } from "../http2/stream-source.ts";

/** What an endpoint says of itself: `unknown` before the first answer, and without checks. */
export type EndpointHealth = "serving" | "not_serving" | "unknown";

/** How the health of endpoints is found. */
export interface HealthOptions {
  /**
   * `watch`: a stream of `grpc.health.v1` on each connection (gRFC A17), by which an endpoint reports its changes itself;
   * it gets no calls before its first answer. `check`: `Check` of that service, every `intervalMs`. `http`: GET of `path`
   * on the same address, every `intervalMs`. Default: `watch`.
   */
  readonly mode: "watch" | "check" | "http";
  /** The service that is asked for; "" is the whole server. Default: "". */
  readonly service: string;
  /** Pause between two checks, ± 20 %, in milliseconds. Default: 5,000. */
  readonly intervalMs: number;
  /** The longest time of a check, in milliseconds. Default: 2,000. */
  readonly timeoutMs: number;
  /** Checks that fail in a row until an endpoint gets no calls. NOT_SERVING counts at once. Default: 3. */
  readonly failures: number;
  /** The path of `http`; any answer of 2xx is good. Default: `/readyz`. */
  readonly path: string;
}

/** The defaults of `HealthOptions`. */
export const healthDefaults: HealthOptions = Object.freeze({
  mode: "watch",
  service: "",
  intervalMs: 5_000,
  timeoutMs: 2_000,
  failures: 3,
  path: "/readyz",
});

/** Follows the health of one endpoint. */
export interface EndpointCheck {
  /** The connection to check by from now on; undefined while there is none. Called at every change, also without any. */
  follow(connection: StreamSources | undefined): void;
  /** Ends the checks. */
  close(): void;
}

/** Makes the checks of endpoints. */
export interface HealthChecks {
  /** Whether endpoints get no calls before their first answer. */
  readonly awaitsFirst: boolean;
  /** @param report called with every health that is found; `unknown` after the connection was lost */
  check(address: string, report: (health: EndpointHealth) => void): EndpointCheck;
}
