import type { CallContext } from "../call/context.ts";

/**
 * A header of the caller's request: of the client's own request where the call came in over HTTP, forwarded or not,
 * else of the call's metadata. Several values are joined by commas. Undefined where there is none.
 *
 * @param name in lower case
 */
export function headerOf(context: CallContext, name: string): string | undefined {
  const own = context.edge?.head.headers[name];
  if (own !== undefined) return typeof own === "string" ? own : own.join(", ");
  return context.requestHeader.get(name) ?? undefined;
}

/** A cookie of the caller's request; undefined where there is none. The first one of several with this name counts. */
export function cookieOf(context: CallContext, name: string): string | undefined {
  const header = headerOf(context, "cookie");
  if (header === undefined) return undefined;
  for (const pair of header.split(/[;,]\s*/)) {
    const equals = pair.indexOf("=");
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  }
  return undefined;
}
