import { hash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { SessionRecordSchema, type SessionRecord } from "../../../gen/ts_ms/session/v1/session_pb.ts";
import type { Redis } from "../../core/redis/redis.ts";
import type { EndedSessions } from "./ended-sessions.ts";
import { knownSession, type KnownSession, type SessionStore } from "./session-store.ts";

/** What a `RedisStore` is made of. */
export interface RedisStoreParts {
  readonly provider: string;
  readonly redis: Redis;
  readonly ended: EndedSessions;
  readonly idleMs: number;
  readonly wallMs: () => number;
}

/** Sessions in Redis, by the hash of their name: what the store holds is no cookie. */
export class RedisStore implements SessionStore {
  readonly isInCookie = false;
  readonly #parts: RedisStoreParts;

  constructor(parts: RedisStoreParts) {
    this.#parts = parts;
  }

  async read(value: string): Promise<KnownSession | undefined> {
    if (!/^[\w-]{43}$/.test(value)) return undefined;
    const { redis, idleMs, provider, wallMs } = this.#parts;
    const found = await redis.command(["GETEX", keyOf(redis, value), "PX", String(idleMs)]);
    if (typeof found !== "string") return undefined;
    const nowMs = wallMs();
    // Redis ends a session that is idle; the record is only written when it changes.
    return knownSession(Buffer.from(found, "base64"), provider, nowMs);
  }

  write(record: SessionRecord): { readonly value: string; readonly done: Promise<unknown> } {
    const { redis, idleMs, wallMs } = this.#parts;
    const lifeMs = Math.max(1, Math.min(idleMs, Number(record.exp) - wallMs()));
    const kept = { ...record, idle: record.exp };
    const text = Buffer.from(toBinary(SessionRecordSchema, kept)).toString("base64");
    const done = redis.command(["SET", keyOf(redis, record.jti), text, "PX", String(lifeMs)]);
    return { value: record.jti, done };
  }

  end(record: SessionRecord): Promise<unknown> {
    const { redis, ended } = this.#parts;
    // Open streams do not read the session again: they find its end on the list.
    return Promise.all([redis.command(["DEL", keyOf(redis, record.jti)]), ended.end(record)]);
  }

  hasEnded(record: SessionRecord): boolean {
    return this.#parts.ended.watch(record);
  }

  close(): void {}
}

function keyOf({ prefix }: Redis, id: string): string {
  return `${prefix}session:${hash("sha256", id, "base64url")}`;
}
