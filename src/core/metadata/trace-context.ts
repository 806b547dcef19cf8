/** Header with the trace that a call is part of (W3C Trace Context). */
export const traceparentHeader = "traceparent";
/** Header with what tracing systems add to it. */
export const tracestateHeader = "tracestate";
/** Header with names and values that go along with a trace (W3C Baggage). */
export const baggageHeader = "baggage";

/** Whether a header, its name in lower case, says what trace a call is part of. */
export function isTraceHeader(name: string): boolean {
  return name === traceparentHeader || name === tracestateHeader || name === baggageHeader;
}

/** What `traceparent` says. */
export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits: the span of the caller. */
  readonly spanId: string;
  /** Whether the caller has sampled the trace. */
  readonly sampled: boolean;
}

/** Characters of `traceparent` in version 00. */
const length00 = 55;
const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * Reads `traceparent` (W3C Trace Context, level 2, section 3.2). A version above 00 is read by its first 55 characters;
 * undefined for the version ff, upper case, ids of zeros, a wrong length and several headers: a new trace begins then.
 */
export function parseTraceparent(value: unknown): TraceParent | undefined {
  if (typeof value !== "string" || value.length < length00) return undefined;
  const rest = value.length > length00;
  if (rest && (value.startsWith("00") || value.charAt(length00) !== "-")) return undefined;
  const text = rest ? value.slice(0, length00) : value;
  if (!form.test(text)) return undefined;
  const flags = Number.parseInt(text.slice(53), 16);
  return { traceId: text.slice(3, 35), spanId: text.slice(36, 52), sampled: (flags & 1) === 1 };
}

/** Writes `traceparent`. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

const mostMembers = 32;
const mostBytes = 512;
const simpleKey = /^[a-z][a-z0-9_\-*/]{0,255}$/;
const tenantKey = /^[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}$/;
const memberValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/**
 * Checks `tracestate` (W3C Trace Context, level 2, section 3.3): undefined for one that is malformed, or empty. Of more
 * than 32 members, or 512 characters, the last are left out.
 */
export function parseTracestate(value: string | null | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  const members: string[] = [];
  const keys = new Set<string>();
  for (const part of value.split(",")) {
    const member = part.replaceAll(/^[ \t]+|[ \t]+$/g, "");
    if (member === "") continue;
    const at = member.indexOf("=");
    const key = member.slice(0, Math.max(at, 0));
    if (!simpleKey.test(key) && !tenantKey.test(key)) return undefined;
    if (!memberValue.test(member.slice(at + 1)) || keys.has(key)) return undefined;
    keys.add(key);
    members.push(member);
  }
  let kept = members.slice(0, mostMembers);
  while (kept.join(",").length > mostBytes) kept = kept.slice(0, -1);
  return kept.length === 0 ? undefined : kept.join(",");
}

const mostBaggage = 64;
const mostBaggageBytes = 8192;

/**
 * The members of `baggage` with these names (W3C Baggage); undefined if there are none. At most 64 members and 8,192
 * bytes are kept, the first ones.
 */
export function filterBaggage(
  value: string | null | undefined,
  names: ReadonlySet<string>,
): string | undefined {
  if (value === undefined || value === null || names.size === 0) return undefined;
  const kept: string[] = [];
  let bytes = 0;
  for (const part of value.split(",")) {
    const member = part.trim();
    const at = member.indexOf("=");
    if (at < 1 || !names.has(member.slice(0, at).trim())) continue;
    bytes += member.length + 1;
    if (kept.length === mostBaggage || bytes > mostBaggageBytes + 1) break;
    kept.push(member);
  }
  return kept.length === 0 ? undefined : kept.join(",");
}
