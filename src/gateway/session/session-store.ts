import { randomBytes } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, fromBinary } from "@bufbuild/protobuf";
import { SessionRecordSchema, type SessionRecord } from "../../../gen/ts_ms/session/v1/session_pb.ts";
import type { Principal } from "../../core/security/principal.ts";

/** A session that lives. Both are never changed: another state is another record. */
export interface KnownSession {
  readonly record: SessionRecord;
  readonly principal: Principal | undefined;
  /** When it ends, and when it does without a request, in milliseconds since 1970: of the record, but as numbers. */
  readonly expMs: number;
  readonly idleUntilMs: number;
}

/** Where sessions are. */
export interface SessionStore {
  /**
   * The living session of a cookie; undefined for none.
   *
   * @throws RedisAway, or rejects with it, where that cannot be found out
   */
  read(value: string): KnownSession | undefined | Promise<KnownSession | undefined>;
  /**
   * Keeps a session.
   *
   * @returns the value of its cookie, and what must be done before the cookie is of use
   * @throws ConnectError INTERNAL for a session that is too large
   */
  write(record: SessionRecord): { readonly value: string; readonly done: Promise<unknown> | undefined };
  /** Whether each state of a session has a cookie of its own. */
  readonly isInCookie: boolean;
  /** Ends a session: from now on none of its cookies is of use. */
  end(record: SessionRecord): Promise<unknown> | undefined;
  /** Whether the session of an open stream has ended; one that was ended by another process is known two seconds later. */
  hasEnded(record: SessionRecord): boolean;
  close(): void;
}

/** A new name of a session: 256 random bits. */
export function newId(): string {
  return randomBytes(32).toString("base64url");
}

/** A record with other members. */
export function changed(
  record: MessageInitShape<typeof SessionRecordSchema>,
  members: MessageInitShape<typeof SessionRecordSchema>,
): SessionRecord {
  const { jti, exp, idle, principal, data } = { ...record, ...members };
  return create(SessionRecordSchema, { jti, exp, idle, principal, data } as SessionRecord);
}

/** A record with its principal; undefined for bytes that are none, and for one that has ended. */
export function knownSession(bytes: Uint8Array, provider: string, nowMs: number): KnownSession | undefined {
  let record: SessionRecord;
  try {
    record = fromBinary(SessionRecordSchema, bytes);
  } catch {
    return undefined;
  }
  const known = {
    record,
    principal: principalOf(record, provider),
    expMs: Number(record.exp),
    idleUntilMs: Number(record.idle),
  };
  return lives(known, nowMs) ? known : undefined;
}

export function lives({ expMs, idleUntilMs }: KnownSession, nowMs: number): boolean {
  return expMs > nowMs && idleUntilMs > nowMs;
}

/** Who has logged in, as handlers see it. @param provider name in the configuration */
export function principalOf({ principal, exp }: SessionRecord, provider: string): Principal | undefined {
  if (principal === undefined) return undefined;
  const { id, issuer, scopes, roles, claims } = principal;
  return Object.freeze({
    id,
    provider,
    kind: "session",
    issuer,
    scopes: new Set(scopes),
    roles: new Set(roles),
    claims: claims ?? {},
    expiresAtMs: Number(exp),
  });
}
