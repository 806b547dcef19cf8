import { escapeText } from "./escape-text.ts";

/** Formats of the access log. */
export const accessFormats = ["json", "combined", "common"] as const;

/** One of `accessFormats`. */
export type AccessFormat = (typeof accessFormats)[number];

/** The members of a line of the access log. Those that are undefined are left out. */
export interface AccessFields {
  readonly time: Date;
  readonly request_id: string | undefined;
  /** HTTP method. */
  readonly method: string;
  /** Request target, without credentials. */
  readonly target: string;
  readonly http_version: string;
  /** Template of the REST route. */
  readonly route: string | undefined;
  /** `package.Service/Method`. */
  readonly rpc: string | undefined;
  /** HTTP status; 499 for a client that has left, 101 for a WebSocket, 200 for gRPC. */
  readonly status: number;
  /** Name of the gRPC code. */
  readonly code: string;
  /** The protocol of the call, `http` for a request without one. */
  readonly door: string;
  /** Address of the client. */
  readonly client: string;
  readonly principal: string | undefined;
  /** Bytes of the body, and of the answer's. */
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly messages_in: number;
  readonly messages_out: number;
  /** Milliseconds from the head of the request to the end of the answer, and to its head. */
  readonly duration_ms: number;
  readonly ttfb_ms: number | undefined;
  /** Why the call was refused before its handler. */
  readonly refused_by: string | undefined;
  readonly user_agent: string | undefined;
  readonly referer: string | undefined;
  readonly trace_id: string | undefined;
  readonly span_id: string | undefined;
}

/** The names of all members, in their order. */
export const accessFields: readonly (keyof AccessFields)[] = Object.freeze([
  "time",
  "request_id",
  "method",
  "target",
  "http_version",
  "route",
  "rpc",
  "status",
  "code",
  "door",
  "client",
  "principal",
  "bytes_in",
  "bytes_out",
  "messages_in",
  "messages_out",
  "duration_ms",
  "ttfb_ms",
  "refused_by",
  "user_agent",
  "referer",
  "trace_id",
  "span_id",
]);

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A line of the access log, with its line break. @param names the members of JSON */
export function accessLine(
  format: AccessFormat,
  fields: AccessFields,
  names: readonly (keyof AccessFields)[],
): string {
  if (format === "json") {
    if (names === accessFields) return `${JSON.stringify(inOrder(fields))}\n`;
    return `${JSON.stringify(Object.fromEntries(names.map((name) => [name, fields[name]])))}\n`;
  }
  const { client, principal, time, method, target, http_version, status, bytes_out } = fields;
  const user =
    principal === undefined || principal === "" ? "-" : escapeText(principal).replaceAll(" ", "\\x20");
  const request = `${escapeText(method)} ${escapeText(target)} HTTP/${http_version}`;
  const common = `${client || "-"} - ${user} [${apacheTime(time)}] "${request}" ${status} ${bytes_out}`;
  if (format === "common") return `${common}\n`;
  return `${common} "${escapeText(fields.referer ?? "-")}" "${escapeText(fields.user_agent ?? "-")}"\n`;
}

function inOrder(f: AccessFields): AccessFields {
  return {
    time: f.time,
    request_id: f.request_id,
    method: f.method,
    target: f.target,
    http_version: f.http_version,
    route: f.route,
    rpc: f.rpc,
    status: f.status,
    code: f.code,
    door: f.door,
    client: f.client,
    principal: f.principal,
    bytes_in: f.bytes_in,
    bytes_out: f.bytes_out,
    messages_in: f.messages_in,
    messages_out: f.messages_out,
    duration_ms: f.duration_ms,
    ttfb_ms: f.ttfb_ms,
    refused_by: f.refused_by,
    user_agent: f.user_agent,
    referer: f.referer,
    trace_id: f.trace_id,
    span_id: f.span_id,
  };
}

/** `10/Oct/2000:13:55:36 +0000`. */
function apacheTime(time: Date): string {
  const iso = time.toISOString();
  return `${iso.slice(8, 10)}/${months[time.getUTCMonth()] ?? ""}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
}
