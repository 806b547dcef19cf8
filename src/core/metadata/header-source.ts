/** Called with one value of a header. */
export type TakeHeader = (name: string, value: string) => void;

/** Lazy headers: converted to `Headers` at the first read, or passed one by one to hops that only write them. */
export interface HeaderSource {
  /** Converts them to `Headers`; called at most once. */
  toHeaders(): Headers;
  /** Calls `take` with every header, the name in lower case; the same headers as those of `toHeaders`. */
  each(take: TakeHeader): void;
}

/** Headers or their source. A function is called at most once, at the first read. Undefined for none. */
export type HeadersFrom = Headers | (() => Headers) | HeaderSource | undefined;

/** The headers of `from`, converted if necessary. */
export function headersOf(from: HeadersFrom): Headers | undefined {
  if (from === undefined || from instanceof Headers) return from;
  return typeof from === "function" ? from() : from.toHeaders();
}

/** Adds every header of `from` to `to`. */
export function appendHeaders(from: Headers, to: Headers): void {
  for (const [name, value] of from) to.append(name, value);
}
