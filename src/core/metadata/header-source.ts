/** Takes one value of a header. */
export type TakeHeader = (name: string, value: string) => void;

/**
 * Headers that nobody may ever look at: made into `Headers` when somebody does, and handed on one by one to hops that
 * write them anyway.
 */
export interface HeaderSource {
  /** Makes the headers; called at most once. */
  toHeaders(): Headers;
  /** Hands every header to `take`, the name in lower case; the same ones that `toHeaders` makes. */
  each(take: TakeHeader): void;
}

/** Headers, or where they come from. A function is called at most once, when somebody looks. Undefined for none. */
export type HeadersFrom = Headers | (() => Headers) | HeaderSource | undefined;

/** The headers of `from`, made if need be. */
export function headersOf(from: HeadersFrom): Headers | undefined {
  if (from === undefined || from instanceof Headers) return from;
  return typeof from === "function" ? from() : from.toHeaders();
}

/** Adds every header of `from` to `to`. */
export function appendHeaders(from: Headers, to: Headers): void {
  for (const [name, value] of from) to.append(name, value);
}
