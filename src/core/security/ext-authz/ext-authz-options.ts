import { checkOptions, show } from "../../config/check-options.ts";
import { SetupError } from "../../errors/setup-error.ts";

/** What came of a question, as the metric `ts_ms_ext_authz_total` labels it. */
export type AuthorizerOutcome = "allowed" | "denied" | "failed" | "failed_open" | "remembered";

/** What is counted of an authorizer. */
export interface AuthorizerBooks {
  /** @param seconds how long the answer took; undefined for one that was remembered */
  asked(outcome: AuthorizerOutcome, seconds: number | undefined): void;
  /** A change of a header was ignored, as its name belongs to a protocol. */
  ignored?(header: string): void;
}

/** Where a gate writes that calls pass without an answer. A pino logger is one. */
export interface AuthorizerLogger {
  warn(fields: Readonly<Record<string, unknown>>, text: string): void;
}

/** Options of `extAuthzGate`. */
export interface ExtAuthzOptions {
  /** Longest time of an answer, in milliseconds. Default: 200. */
  readonly timeoutMs: number;
  /**
   * What becomes of a call about which there is no answer in time: `deny` refuses it with UNAVAILABLE, `allow` lets it
   * pass. Default: `deny`.
   */
  readonly onFailure: "deny" | "allow";
  /** The rpcs: `package.Service/Method`, `package.Service/*`, `package.*`. Default: all. */
  readonly rpc: readonly string[];
  /** How much of the body of a unary call is sent, in bytes; 0 for none of it. Default: 0. */
  readonly includeBodyBytes: number;
  /** The request headers that are sent. Default: `authorization`, `cookie`, `x-request-id`, `traceparent`. */
  readonly headers: readonly string[];
  /** How long an answer is remembered, in milliseconds; 0 for not at all. Answers about bodies never are. Default: 0. */
  readonly cacheTtlMs: number;
  /** Further `context_extensions`, beside `rpc`, `door` and `route`. Default: none. */
  readonly extensions: Readonly<Record<string, string>>;
  /** Where calls that pass without an answer are logged. Default: nowhere. */
  readonly logger: AuthorizerLogger | undefined;
  /** What counts answers. Default: nothing. */
  readonly books: AuthorizerBooks | undefined;
}

/** The defaults of `ExtAuthzOptions`. */
export const extAuthzDefaults: ExtAuthzOptions = Object.freeze({
  timeoutMs: 200,
  onFailure: "deny",
  rpc: Object.freeze([]),
  includeBodyBytes: 0,
  headers: Object.freeze(["authorization", "cookie", "x-request-id", "traceparent"]),
  cacheTtlMs: 0,
  extensions: Object.freeze({}),
  logger: undefined,
  books: undefined,
});

/** The options with their defaults. @throws SetupError naming the option that cannot be used */
export function extAuthzOptions(given: Partial<ExtAuthzOptions>): ExtAuthzOptions {
  checkOptions<ExtAuthzOptions>("extAuthzGate", given, extAuthzDefaults);
  const options = { ...extAuthzDefaults, ...given };
  const { onFailure, timeoutMs } = options;
  if (onFailure !== "deny" && onFailure !== "allow") {
    throw new SetupError(
      `extAuthzGate: the option onFailure must be "deny" or "allow", not ${show(onFailure)}`,
    );
  }
  if (timeoutMs <= 0)
    throw new SetupError(`extAuthzGate: the option timeoutMs must be above 0, not ${timeoutMs}`);
  return options;
}
