import { hash } from "node:crypto";
import type { SessionRecord } from "../../../gen/ts_ms/session/v1/session_pb.ts";
import type { Redis } from "../../core/redis/redis.ts";

/** So many ended sessions are known to this process by name. */
const maxEnded = 1_000_000;
/** How often Redis is asked about the sessions of open streams, in milliseconds. */
const askMs = 2_000;
/** So many sessions are asked about by one command. */
const maxAsked = 500;

/** A session as the list of ended ones knows it. */
export type SessionName = Pick<SessionRecord, "jti" | "exp">;

/** What `EndedSessions` is made of. */
export interface EndedSessionsParts {
  /** Where all processes know of sessions that have ended; undefined for this process alone. */
  readonly redis: Redis | undefined;
  readonly wallMs: () => number;
  /** Is called when a session has ended. */
  readonly onEnd: () => void;
  /** Is called once, when sessions end for want of space: see `EndedSessions`. */
  readonly onFull: () => void;
  /** So many are kept. Default: 1,000,000. */
  readonly max?: number;
}

/**
 * Sessions that were ended before their time, until that has come.
 *
 * Without Redis none may be forgotten, as a copy of its cookie would be good again: beyond 1,000,000 of them, those that
 * would end first give their place to a time, and every session that ends by that time counts as ended.
 */
export class EndedSessions {
  readonly #parts: EndedSessionsParts;
  /** When each would have ended, in milliseconds since 1970. */
  readonly #ended = new Map<string, number>();
  /** Sessions that end by this time count as ended, in milliseconds since 1970. */
  #floorMs = 0;
  /** Sessions of open streams that Redis is to be asked about. */
  readonly #watched = new Map<string, SessionName>();
  #askedAtMs = -Infinity;
  #isAsking = false;

  constructor(parts: EndedSessionsParts) {
    this.#parts = parts;
  }

  /** Whether a session is known to have ended; Redis is not asked. */
  has({ jti, exp }: SessionName): boolean {
    if (this.#ended.size === 0) return false; // Until the first logout there is nothing to look up.
    return Number(exp) <= this.#floorMs || this.#ended.has(jti);
  }

  /** Whether a session has ended. @throws RedisAway, or rejects with it, where that cannot be found out */
  find(name: SessionName): boolean | Promise<boolean> {
    const { redis } = this.#parts;
    if (redis === undefined || this.has(name)) return this.has(name);
    return redis.command(["EXISTS", keyOf(redis, name)]).then((count) => count !== 0);
  }

  /**
   * Whether the session of an open stream has ended. Redis is asked in the background, so that an end elsewhere is known
   * two seconds later.
   */
  watch(name: SessionName): boolean {
    if (this.has(name)) return true;
    if (this.#parts.redis === undefined) return false;
    this.#watched.set(name.jti, name);
    if (!this.#isAsking && this.#parts.wallMs() - this.#askedAtMs >= askMs) {
      this.#isAsking = true;
      queueMicrotask(() => void this.#ask()); // About all streams that are looked at in this turn.
    }
    return false;
  }

  /** Ends a session. @returns what is to be waited for until all processes know it */
  end(name: SessionName): Promise<unknown> | undefined {
    const { redis, wallMs, onEnd } = this.#parts;
    const leftMs = Number(name.exp) - wallMs();
    if (leftMs <= 0) return undefined;
    this.#remember(name);
    onEnd();
    return redis?.command(["SET", keyOf(redis, name), "1", "PX", String(leftMs)]);
  }

  #remember({ jti, exp }: SessionName): void {
    const { redis, wallMs, onFull, max = maxEnded } = this.#parts;
    const nowMs = wallMs();
    for (const [before, untilMs] of this.#ended) {
      if (untilMs > nowMs && this.#ended.size < max) break;
      this.#ended.delete(before);
      if (untilMs <= nowMs || redis !== undefined || untilMs <= this.#floorMs) continue;
      if (this.#floorMs === 0) onFull();
      this.#floorMs = untilMs;
    }
    this.#ended.set(jti, Number(exp));
  }

  async #ask(): Promise<void> {
    const { redis, wallMs, onEnd } = this.#parts;
    const names = [...this.#watched.values()];
    this.#watched.clear();
    this.#askedAtMs = wallMs();
    try {
      for (let at = 0; redis !== undefined && at < names.length; at += maxAsked) {
        const some = names.slice(at, at + maxAsked);
        const found = await redis.command(["MGET", ...some.map((name) => keyOf(redis, name))]);
        const ended = some.filter((_, index) => Array.isArray(found) && found[index] !== null);
        for (const name of ended) this.#remember(name);
        if (ended.length > 0) onEnd();
      }
    } catch {
      // It is asked again about streams that are still open.
    } finally {
      this.#isAsking = false;
    }
  }
}

function keyOf({ prefix }: Redis, { jti }: SessionName): string {
  return `${prefix}session:ended:${hash("sha256", jti, "base64url")}`;
}
