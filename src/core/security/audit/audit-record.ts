import { createHash } from "node:crypto";

/**
 * What a record is about.
 *
 * Of marked rpcs: `call`, a call that has ended, or `admin` for one of the admin service; `stream`, a stream that has
 * begun; `refused`, a call that a limit or a rule of messages has refused. Of all rpcs: `unauthenticated` and `denied`, a
 * call that was refused for who makes it. Of the program: `reload`, `start` and `stop`. Of the log: `gap`, that records
 * before it are missing, as they could not be written.
 */
export type AuditEvent =
  | "call"
  | "admin"
  | "stream"
  | "refused"
  | "unauthenticated"
  | "denied"
  | "reload"
  | "start"
  | "stop"
  | "gap";

/** What is known of an event. */
export interface AuditEntry {
  readonly event: AuditEvent;
  /** Id of the caller; undefined for an anonymous one. */
  readonly principal?: string | undefined;
  /** The provider that vouches for the caller. */
  readonly provider?: string | undefined;
  /** `package.Service/Method`. */
  readonly rpc?: string | undefined;
  /** Value of the field of the request that the rule names; of a reload, the keys that have changed. */
  readonly resource?: string | undefined;
  readonly decision?: "allow" | "deny" | undefined;
  /** The place of the rule that decides who may call the rpc: a key of the configuration, or an option of the contract. */
  readonly rule?: string | undefined;
  /** Address of the client. */
  readonly client?: string | undefined;
  readonly request_id?: string | undefined;
  readonly trace_id?: string | undefined;
  /** Name of the status: `OK`, `PERMISSION_DENIED`. */
  readonly code?: string | undefined;
  /** Of a `gap`: how many records could not be written. */
  readonly lost?: number | undefined;
}

/** A line of an audit log. */
export interface AuditRecord extends AuditEntry {
  /** RFC 3339, in UTC. */
  readonly time: string;
  /** Counts the records of a chain, from 1 on, over all of its files. */
  readonly seq: number;
  /** The hash of the record before, which may be in another file; 64 zeros for the first one. */
  readonly prev: string;
  /** SHA-256 of the line without this member. */
  readonly hash: string;
}

/** Where a chain of records stands. */
export interface ChainEnd {
  readonly seq: number;
  readonly hash: string;
}

/** A chain without a record. */
export const chainStart: ChainEnd = Object.freeze({ seq: 0, hash: "0".repeat(64) });

/** The longest text of a member, in characters. */
const maxText = 1024;

/** The line of the record behind `end`, and where the chain stands with it. */
export function formatRecord(
  entry: AuditEntry,
  end: ChainEnd,
  time: Date,
): ChainEnd & { readonly line: string } {
  const seq = end.seq + 1;
  const cut = (text: string | undefined): string | undefined => text?.slice(0, maxText);
  const body = JSON.stringify({
    time: time.toISOString(),
    seq,
    event: entry.event,
    principal: cut(entry.principal),
    provider: cut(entry.provider),
    rpc: entry.rpc,
    resource: cut(entry.resource),
    decision: entry.decision,
    rule: cut(entry.rule),
    client: cut(entry.client),
    request_id: entry.request_id,
    trace_id: entry.trace_id,
    code: entry.code,
    lost: entry.lost,
    prev: end.hash,
  });
  const hash = sha256(body);
  return { seq, hash, line: `${body.slice(0, -1)},"hash":"${hash}"}\n` };
}

const shape = /^(\{"time":".*"prev":"[0-9a-f]{64}"),"hash":"([0-9a-f]{64})"\}$/s;

/** What is wrong with a line by itself. */
export type LineProblem = "is no record" | "was changed";

/** Reads a line, without its line break; what is wrong with it, for one that is no record or was changed. */
export function readRecord(line: string): AuditRecord | LineProblem {
  const [, body = "", hash] = shape.exec(line) ?? [];
  if (hash === undefined) return "is no record";
  if (sha256(`${body}}`) !== hash) return "was changed";
  try {
    const record = JSON.parse(line) as AuditRecord; // A line of `formatRecord`, by its hash.
    return Number.isSafeInteger(record.seq) ? record : "is no record";
  } catch {
    return "is no record";
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
