import {
  aborted,
  internal,
  invalidArgument,
  notFound,
  permissionDenied,
  resourceExhausted,
  unauthenticated,
  unavailable,
  unimplemented,
} from "./codes.ts";
/** A call or a subscription has failed. */
export class HubError extends Error {
  /** `google.rpc.Code`, such as 14 for UNAVAILABLE. */
  readonly code: number;
  /** The details of the `google.rpc.Status` as JSON, each with its `@type`. */
  readonly details: readonly Readonly<Record<string, unknown>>[];

  constructor(code: number, message: string, details: HubError["details"] = [], cause?: unknown) {
    super(message, { cause });
    this.name = "HubError";
    this.code = code;
    this.details = details;
  }

  /** The reason of its `google.rpc.ErrorInfo`, such as `SLOW_CONSUMER`; undefined without one. */
  get reason(): string | undefined {
    const reason = this.#detail("ErrorInfo")?.["reason"];
    return typeof reason === "string" ? reason : undefined;
  }

  /** The least time until another attempt by its `google.rpc.RetryInfo`, in milliseconds; undefined without one. */
  get retryMs(): number | undefined {
    const delay = /^(\d+(?:\.\d+)?)s$/.exec(String(this.#detail("RetryInfo")?.["retryDelay"]));
    return delay === null ? undefined : Number(delay[1]) * 1000;
  }

  #detail(type: string): Readonly<Record<string, unknown>> | undefined {
    return this.details.find((detail) => String(detail["@type"]).endsWith(`/google.rpc.${type}`));
  }
}

/** The error of a `google.rpc.Status` as JSON; undefined for what is none. */
export function errorOfStatus(json: unknown): HubError | undefined {
  if (!isObject(json) || typeof json["code"] !== "number") return undefined;
  const { code, message, details } = json;
  const own = Array.isArray(details) ? details.filter(isObject) : [];
  return new HubError(code, typeof message === "string" ? message : "", own);
}

/** The code of an HTTP status whose body says nothing. */
export function codeOfHttpStatus(status: number): number {
  const own = httpCodes[status];
  if (own !== undefined) return own;
  return status >= 400 && status < 500 ? invalidArgument : unavailable;
}

const httpCodes: Readonly<Record<number, number>> = {
  401: unauthenticated,
  403: permissionDenied,
  404: notFound,
  408: unavailable, // What is between client and server was not patient enough.
  409: aborted,
  410: aborted,
  425: unavailable,
  429: resourceExhausted,
  500: internal,
  501: unimplemented,
};

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
