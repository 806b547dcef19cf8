import { hash } from "node:crypto";
import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { createContextKey, type ContextKey } from "@connectrpc/connect";
import {
  SessionPrincipalSchema,
  SessionRecordSchema,
  type SessionRecord,
} from "../../../gen/ts_ms/session/v1/session_pb.ts";
import { refusal } from "../../core/admission/refusal.ts";
import type { EdgeRequest } from "../../core/call/edge-request.ts";
import { Code } from "../../core/errors/errors.ts";
import { retryInfo } from "../../core/errors/retry-info.ts";
import type { Principal } from "../../core/security/principal.ts";
import { putCookie, takesCookies } from "./put-cookie.ts";
import { changed, newId, principalOf, type KnownSession, type SessionStore } from "./session-store.ts";

/** What the sessions of all calls have in common. */
export interface SessionKit {
  readonly store: SessionStore;
  readonly provider: string;
  readonly cookieName: string;
  /** The same with the `=` behind it. */
  readonly cookieStart: string;
  readonly ttlMs: number;
  readonly idleMs: number;
  readonly wallMs: () => number;
  /** Writes `set-cookie` with the attributes of sessions. @param value empty to delete the cookie */
  readonly setCookie: (value: string) => string;
}

/** Context value that holds the session of a call. */
export const sessionKey: ContextKey<LiveSession | undefined> = createContextKey<LiveSession | undefined>(
  undefined,
  { description: "the session of the call" },
);

/** A part of the time without a request after which a session gets another cookie: a tenth. */
const renewals = 10;

/** The session of one call: what its cookie has said, and what its handler makes of it. */
export class LiveSession {
  readonly #kit: SessionKit;
  /** The request of the client; undefined where it can have no cookies. */
  readonly edge: EdgeRequest | undefined;
  #record: SessionRecord | undefined;
  /** The record of now, or that of the session that was ended. */
  #last: SessionRecord | undefined;
  #principal: Principal | undefined;
  /** The error of a store that could not be asked. */
  #failure: unknown;
  /** A write that is to be made before the end of this turn. */
  #due = false;
  #pending: Promise<unknown> | undefined;

  constructor(kit: SessionKit, edge: EdgeRequest | undefined) {
    this.#kit = kit;
    this.edge = edge;
  }

  /** Reads the cookie of the request. Never fails: a store that is away is of interest to those who need the session. */
  load(value: string): Promise<void> | undefined {
    let found: ReturnType<SessionStore["read"]>;
    try {
      found = this.#kit.store.read(value);
    } catch (error) {
      this.#failure = error;
      return undefined;
    }
    if (!(found instanceof Promise)) {
      this.#found(found);
      return undefined;
    }
    return found.then(
      (known) => this.#found(known),
      (error: unknown) => {
        this.#failure = error;
      },
    );
  }

  /** Who has logged in; undefined for an anonymous client. @throws ConnectError UNAVAILABLE while the store is away */
  get principal(): Principal | undefined {
    this.#check();
    return this.#principal;
  }

  /** What pages send as `x-csrf-token`; undefined without a session. */
  get csrfToken(): string | undefined {
    return this.#record && hash("sha256", `ts-ms csrf\0${this.#record.jti}`, "base64url");
  }

  read<T extends DescMessage>(schema: T): MessageShape<T> {
    this.#check();
    const bytes = this.#record?.data[schema.typeName];
    return bytes === undefined ? create(schema) : fromBinary(schema, bytes);
  }

  write<T extends DescMessage>(schema: T, message: MessageShape<T>): void {
    this.#check();
    const before = this.#record ?? this.#newRecord();
    const bytes = toBinary(schema, message);
    this.#keep(changed(before, { data: { ...before.data, [schema.typeName]: bytes } }));
  }

  /** Takes a new name, so that a name that was known before is of no use, and destroys the old session. */
  async login({
    id,
    issuer,
    scopes,
    roles,
    claims,
  }: Pick<Principal, "id" | "issuer" | "scopes" | "roles" | "claims">): Promise<Principal> {
    this.#check();
    const old = this.#record;
    const record = changed(this.#newRecord(), {
      data: old?.data ?? {},
      principal: create(SessionPrincipalSchema, {
        id,
        ...(issuer !== undefined && { issuer }),
        scopes: [...scopes],
        roles: [...roles],
        claims: { ...claims },
      }),
    });
    this.#keep(record);
    const who = principalOf(record, this.#kit.provider);
    this.#principal = who;
    if (old !== undefined) this.#wait(this.#kit.store.end(old));
    await this.settled();
    if (who === undefined) throw new TypeError("a session has lost its principal"); // It was set above.
    return who;
  }

  async logout(): Promise<void> {
    this.#check();
    const old = this.#record;
    this.#record = undefined;
    this.#principal = undefined;
    this.#due = false;
    putCookie(this.edge, this.#kit.cookieName, this.#kit.setCookie(""));
    if (old !== undefined) this.#wait(this.#kit.store.end(old));
    await this.settled();
  }

  /** Resolves when the store has everything. @throws ConnectError UNAVAILABLE while it is away */
  async settled(): Promise<void> {
    if (this.#due) this.#store();
    const pending = this.#pending;
    this.#pending = undefined;
    try {
      await pending;
    } catch (error) {
      throw away(error);
    }
  }

  /** Whether the session was ended, for a call that is still under way. */
  get hasEnded(): boolean {
    return this.#last !== undefined && this.#kit.store.hasEnded(this.#last);
  }

  /** Whether something is to be waited for before the answer leaves. */
  get isPending(): boolean {
    return this.#due || this.#pending !== undefined;
  }

  /** The session counts as none: its principal is revoked. */
  disown(): void {
    this.#found(undefined);
  }

  #found(known: KnownSession | undefined): void {
    const { cookieName, setCookie, idleMs, wallMs, store } = this.#kit;
    this.#record = known?.record;
    this.#last = known?.record ?? this.#last;
    this.#principal = known?.principal;
    if (!takesCookies(this.edge)) return;
    if (known === undefined) {
      putCookie(this.edge, cookieName, setCookie(""));
      return;
    }
    const usedMs = wallMs() + idleMs - known.idleUntilMs;
    if (store.isInCookie && usedMs * renewals >= idleMs) this.#keep(known.record);
  }

  #newRecord(): SessionRecord {
    const { ttlMs, wallMs } = this.#kit;
    return create(SessionRecordSchema, { jti: newId(), exp: BigInt(wallMs() + ttlMs) });
  }

  #keep(record: SessionRecord): void {
    const { idleMs, wallMs, store, cookieName, setCookie } = this.#kit;
    const isNew = record.jti !== this.#record?.jti;
    const kept = changed(record, { idle: BigInt(wallMs() + idleMs) });
    if (store.isInCookie) {
      putCookie(this.edge, cookieName, setCookie(store.write(kept).value));
    } else {
      if (isNew) putCookie(this.edge, cookieName, setCookie(kept.jti));
      // Several changes in one turn are one write.
      if (!this.#due) queueMicrotask(() => this.#due && this.#store());
      this.#due = true;
    }
    this.#record = this.#last = kept;
  }

  #store(): void {
    this.#due = false;
    if (this.#record !== undefined) this.#wait(this.#kit.store.write(this.#record).done);
  }

  #wait(work: Promise<unknown> | undefined): void {
    if (work === undefined) return;
    this.#pending = this.#pending === undefined ? work : Promise.all([this.#pending, work]);
    this.#pending.catch(() => {}); // `settled` throws it.
  }

  #check(): void {
    if (this.#failure !== undefined) throw away(this.#failure);
  }
}

function away(cause: unknown): Error {
  const error = refusal({
    kind: "overload",
    code: Code.Unavailable,
    reason: "SESSIONS_UNAVAILABLE",
    message: "sessions cannot be read or kept now; try again later",
    details: [retryInfo(1_000)],
  });
  error.cause = cause;
  return error;
}
