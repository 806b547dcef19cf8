import type { JsonObject, Registry } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { SetupError } from "../errors/setup-error.ts";

/** Anything that `new Headers()` takes. */
export type RestHeaders = ConstructorParameters<typeof Headers>[0];

/** A `google.api.HttpRule` as JSON, with a selector of the rpcs that it is for. */
export interface RestRule extends JsonObject {
  /** `package.Service/Method`, `package.Service/*`, `package.*`, or with dots as `google.api` has it. */
  readonly selector: string;
}

/** The timeout of some rpcs. Other policies are not part of this transport. */
export interface RestPolicy {
  /** As that of a rule. The last policy that selects an rpc counts. */
  readonly selector: string;
  /** Default and most time of a call, in milliseconds, also of streams. */
  readonly timeoutMs: number;
}

/** Options of `restTransport`. */
export interface RestTransportOptions {
  /** Where the API is: `https://api.example.com`, with a path before those of the rules, or relative to the page. */
  readonly baseUrl: string;
  /** The function that sends requests. Default: the global `fetch`, looked up at each call. */
  readonly fetch: typeof fetch | undefined;
  /** Headers of every call, or a function that gives them at each call; those of a call itself win. Default: none. */
  readonly headers: RestHeaders | (() => RestHeaders | Promise<RestHeaders>);
  /** Whether browsers send cookies, as `fetch` has it. Default: what `fetch` does without. */
  readonly credentials: "omit" | "same-origin" | "include" | undefined;
  /**
   * Rules in place of the annotations of the rpcs that they select; of several that select an rpc the last one counts.
   * Default: none.
   */
  readonly rules: readonly RestRule[];
  /** Types for `google.protobuf.Any`, in messages and in details of errors, besides the standard ones. Default: none. */
  readonly registry: Registry | undefined;
  /** Interceptors around every call, the outermost first. Default: none. */
  readonly interceptors: readonly Interceptor[];
  /** Timeouts by rpc. Default: none. */
  readonly policies: readonly RestPolicy[];
  /** Timeout of a unary call without a `timeoutMs` of its own, in milliseconds; 0 for none. Default: 0. */
  readonly timeoutMs: number;
  /**
   * The header that tells the server how long the caller waits. Default: `none`, since a browser asks first
   * (a CORS preflight) before it sends one.
   */
  readonly deadlineHeader: "none" | "connect-timeout-ms" | "grpc-timeout";
  /**
   * What becomes of a request that no rule of its rpc can carry: INVALID_ARGUMENT, or `POST /package.Service/Method`,
   * which TsMs gateways have for every rpc. Default: `error`.
   */
  readonly fallback: "error" | "rpc-path";
  /**
   * The largest reply, the largest message of a stream, and in browsers the largest stream of requests, in bytes;
   * beyond it a call is RESOURCE_EXHAUSTED. Default: 4 MiB.
   */
  readonly maxMessageBytes: number;
  /** The longest URL, in characters; a rule whose URL is longer does not fit. Default: 8,000. */
  readonly maxUrlBytes: number;
  /**
   * `grpc-gateway`: lines of streams are `{"result": …}`, metadata of calls gets the prefix `Grpc-Metadata-` and that
   * of replies loses it. Default: undefined.
   */
  readonly compat: "grpc-gateway" | undefined;
}

/** The defaults of `RestTransportOptions`; `baseUrl` has to be given. */
export const restDefaults: RestTransportOptions = Object.freeze({
  baseUrl: "",
  fetch: undefined,
  headers: undefined,
  credentials: undefined,
  rules: [],
  registry: undefined,
  interceptors: [],
  policies: [],
  timeoutMs: 0,
  deadlineHeader: "none",
  fallback: "error",
  maxMessageBytes: 4 * 1024 * 1024,
  maxUrlBytes: 8_000,
  compat: undefined,
});

const choices: Readonly<Record<string, readonly unknown[]>> = {
  deadlineHeader: ["none", "connect-timeout-ms", "grpc-timeout"],
  fallback: ["error", "rpc-path"],
  compat: [undefined, "grpc-gateway"],
  credentials: [undefined, "omit", "same-origin", "include"],
};

/**
 * The options with their defaults, and `baseUrl` without slashes at its end.
 *
 * @throws TypeError naming an option that does not exist or has a wrong value
 */
export function readOptions(
  options: Pick<RestTransportOptions, "baseUrl"> & Partial<RestTransportOptions>,
): RestTransportOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const all = { ...restDefaults, ...(Object.fromEntries(given) as Partial<RestTransportOptions>) }; // Checked below.
  for (const [name, value] of given) {
    const byDefault: unknown = Object.hasOwn(restDefaults, name)
      ? restDefaults[name as keyof RestTransportOptions]
      : refuse("there is no option", name);
    const isGood =
      typeof byDefault === "number"
        ? typeof value === "number" && value >= 0
        : Array.isArray(byDefault)
          ? Array.isArray(value)
          : choices[name]?.includes(value) !== false;
    if (!isGood) refuse("wrong value of the option", name);
  }
  const { baseUrl } = all;
  if (typeof options.baseUrl !== "string" || /[?#\s]/.test(baseUrl)) {
    throw new SetupError("restTransport: baseUrl must be a URL without query and fragment");
  }
  return { ...all, baseUrl: baseUrl.replace(/\/+$/, "") };
}

function refuse(what: string, name: string): never {
  throw new SetupError(`restTransport: ${what} ${JSON.stringify(name)}`);
}
