import type { OutgoingHttpHeaders } from "node:http2";
import { legalName, ofConnections } from "../../core/http2/reply-head.ts";
import { validateHeaderValue } from "../../core/net/node-http.ts";
import { dateOfNow } from "../http/date-header.ts";

const plainValue = /^[\t -~\u0080-\u00ff]*$/;

/**
 * The head or the trailers of an answer as the package takes them: without the fields of connections, which a client takes
 * for a fault of the protocol.
 *
 * @param withDate whether a date is added where there is none
 * @throws TypeError for a name or value that HTTP does not allow
 */
export function answerFields(
  headers: OutgoingHttpHeaders,
  withDate: boolean,
): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  const status = headers[":status"];
  if (status !== undefined) fields[":status"] = String(status);
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase();
    if (value === undefined || name.startsWith(":") || isOfConnection(name)) continue;
    if (!legalName.test(name)) throw new TypeError(`invalid header name ${JSON.stringify(given)}`);
    fields[name] = Array.isArray(value)
      ? value.map((item) => checked(name, String(item)))
      : checked(name, String(value));
  }
  if (withDate && fields["date"] === undefined) fields["date"] = dateOfNow();
  return fields;
}

function checked(name: string, value: string): string {
  if (!plainValue.test(value)) validateHeaderValue(name, value); // Throws as Node does.
  return value;
}

function isOfConnection(name: string): boolean {
  return ofConnections.has(name) || name === "http2-settings" || name === "te";
}
