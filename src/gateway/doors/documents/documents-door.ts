import type { GateDocument } from "../../../core/admission/gate.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import type { HttpExchange, RequestHead } from "../../http/exchange.ts";
import { answerOtherMethod } from "../../http/other-method.ts";
import type { MakeDoor } from "../door.ts";

/** Such documents change seldom; a client may keep one for a minute. */
const headers = { "content-type": "application/json", "cache-control": "public, max-age=60" };

/**
 * Answers the documents of gates, at paths of `/.well-known/` (RFC 8615): where tokens for this server come from, the
 * keys of its assertions. No credentials are needed for them.
 */
export const documentsDoor: MakeDoor = ({ gateDocuments, errors }) => ({
  name: "documents",
  needsNoRpcs: true,
  claims: ({ url }) => gateDocuments !== undefined && url.startsWith("/.well-known/"),
  serve: () => (exchange: HttpExchange) => {
    const { head } = exchange;
    const document = gateDocuments?.(pathOf(head.url));
    if (document === undefined) return false;
    if (head.method === "GET" || head.method === "HEAD") answer(document, exchange);
    else answerOtherMethod(["GET", "HEAD", "OPTIONS"], exchange, errors);
    return true;
  },
});

function answer(document: GateDocument, exchange: HttpExchange): void {
  const scheme = exchange.isSecure ? "https" : "http";
  const body = JSON.stringify(document({ scheme, authority: authorityOf(exchange.head) }));
  try {
    exchange.respond(200, headers, body);
  } catch {
    exchange.destroy(); // A hook has set an invalid header.
  }
}

function authorityOf({ headers: { ":authority": authority, host } }: RequestHead): string {
  return (typeof authority === "string" ? authority : host) ?? "";
}
