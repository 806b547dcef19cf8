import { invalidArgument } from "../../core/errors/errors.ts";
import { quoteText } from "../../core/errors/quote-text.ts";
import { percentDecode } from "../../core/http-rule/percent.ts";

/** One `name=value` of a query, decoded. */
export interface QueryParameter {
  readonly name: string;
  /** Empty if the parameter has no `=`. */
  readonly value: string;
}

/** Options of `parseQuery`. */
export interface QueryOptions {
  /** More parameters than this are refused. Default 1000. */
  readonly maxQueryParams: number;
  /** Whether `+` means a space, as HTML forms write it. Default true; false is Envoy's default. */
  readonly plusAsSpace: boolean;
}

/** The defaults of {@link QueryOptions}. */
export const queryDefaults: QueryOptions = Object.freeze({ maxQueryParams: 1000, plusAsSpace: true });

/**
 * Splits a raw query string, without its `?`, into parameters: at `&` only, names from values at the first `=`. Empty
 * pairs are skipped.
 *
 * Throws INVALID_ARGUMENT for malformed escapes, bytes that are not UTF-8, and too many parameters.
 *
 * @param query as received in the request target, one character for each byte
 */
export function parseQuery(query: string, options: QueryOptions = queryDefaults): QueryParameter[] {
  const parameters: QueryParameter[] = [];
  let start = 0;
  while (start < query.length) {
    const ampersand = query.indexOf("&", start);
    const end = ampersand === -1 ? query.length : ampersand;
    if (end > start) {
      if (parameters.length === options.maxQueryParams) {
        throw invalidArgument(`the query has more than ${options.maxQueryParams} parameters`);
      }
      parameters.push(parsePair(query.slice(start, end), options.plusAsSpace));
    }
    start = end + 1;
  }
  return parameters;
}

function parsePair(pair: string, plusAsSpace: boolean): QueryParameter {
  const equals = pair.indexOf("=");
  const rawName = equals === -1 ? pair : pair.slice(0, equals);
  const name = decode(rawName, plusAsSpace);
  if (name === undefined) throw malformed(rawName, `the name ${quoteText(rawName)} of a query parameter`);
  const value = equals === -1 ? "" : decode(pair.slice(equals + 1), plusAsSpace);
  if (value === undefined) throw malformed(name, `the value of the query parameter ${quoteText(name)}`);
  return { name, value };
}

function decode(raw: string, plusAsSpace: boolean): string | undefined {
  return percentDecode(plusAsSpace && raw.includes("+") ? raw.replaceAll("+", " ") : raw);
}

function malformed(field: string, what: string): Error {
  const description = `${what} is not valid percent-encoded UTF-8`;
  return invalidArgument(description, [{ field: field.slice(0, 100).toWellFormed(), description }]);
}
