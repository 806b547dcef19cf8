import { legalName, ofConnections } from "../../../core/http2/reply-head.ts";
import type { FieldList, ReplyFields } from "../../../core/http2/server-stream.ts";
import { validateHeaderValue } from "../../../core/net/node-http.ts";
import { dateOfNow } from "../../http/date-header.ts";
import type { ResponseHeaders, ResponseTrailers } from "../../http/exchange.ts";

/** Fields that are the same in reply after reply of a server. */
const sharedNames: ReadonlySet<string> = new Set([
  "content-type",
  "vary",
  "cache-control",
  "x-content-type-options",
  "access-control-allow-origin",
  "access-control-expose-headers",
]);

/**
 * The head of a reply as fields of HTTP/2: without those of connections, with a date.
 *
 * @throws TypeError for a name or value that HTTP does not allow
 */
export function replyFields(status: number, headers: ResponseHeaders): ReplyFields {
  const shared = [":status", String(status)];
  const own: string[] = [];
  let hasDate = false;
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value === undefined || isOfConnection(name)) continue;
    if (name === "date") hasDate = true;
    const fields = sharedNames.has(name) ? shared : own;
    if (typeof value === "string") add(fields, name, value);
    else for (const item of value) add(fields, name, item);
  }
  if (!hasDate) own.push("date", dateOfNow());
  const known = keptList(shared);
  return known === undefined ? { shared, own } : { shared: known, own, prepared: true };
}

/** So many lists of shared fields are kept; more come only where applications make up values of these fields. */
const mostLists = 100;
const lists = new Map<string, FieldList>();

/** The list that is kept for lists of these fields, so that a connection encodes it once; undefined with too many. */
function keptList(fields: readonly string[]): FieldList | undefined {
  const key = fields.join("\n"); // No field contains a line break.
  const known = lists.get(key);
  if (known !== undefined || lists.size >= mostLists) return known;
  const list = Object.freeze(fields);
  lists.set(key, list);
  return list;
}

/** Trailers as fields of HTTP/2. @throws TypeError as `replyFields` */
export function trailerFields(trailers: ResponseTrailers): FieldList {
  const fields: string[] = [];
  for (const [name, value] of trailers) if (!isOfConnection(name)) add(fields, name.toLowerCase(), value);
  return fields;
}

const plainValue = /^[\t -~\u0080-\u00ff]*$/;

function add(fields: string[], name: string, value: string): void {
  if (!legalName.test(name)) throw new TypeError(`invalid header name ${JSON.stringify(name)}`);
  if (!plainValue.test(value)) validateHeaderValue(name, value); // Throws as Node does.
  fields.push(name, value);
}

function isOfConnection(name: string): boolean {
  return ofConnections.has(name) || name === "http2-settings" || name === "te";
}
