import { createHash } from "node:crypto";

/** Remembers what has been used once. */
export interface ReplayStore {
  /**
   * Uses a text for the first time.
   *
   * @param ttlMs how long it is remembered, in milliseconds
   * @returns false if it was used before
   * @throws anything where that cannot be found out
   */
  claim(text: string, ttlMs: number): boolean | Promise<boolean>;
}

/** A replay store in the memory of this process. */
export class LocalReplayStore implements ReplayStore {
  readonly #most: number;
  readonly #nowMs: () => number;
  /** When each is forgotten. All have about the same time, so the first ones end first. */
  readonly #used = new Map<string, number>();

  /**
   * @param most of so many a further one is refused
   * @param nowMs the time, in milliseconds
   */
  constructor(most = 1_000_000, nowMs: () => number = () => performance.now()) {
    this.#most = most;
    this.#nowMs = nowMs;
  }

  claim(text: string, ttlMs: number): boolean {
    const now = this.#nowMs();
    for (const [first, untilMs] of this.#used) {
      if (untilMs > now) break;
      this.#used.delete(first);
    }
    const untilMs = this.#used.get(text);
    if (untilMs !== undefined && untilMs > now) return false;
    if (this.#used.size >= this.#most) throw new Error("too many nonces are in use");
    this.#used.delete(text);
    this.#used.set(text, now + ttlMs);
    return true;
  }
}

/** What of Redis a replay store needs. */
interface ReplayRedis {
  /** In front of every key. */
  readonly prefix: string;
  command(command: readonly string[]): Promise<unknown>;
}

/** A replay store in Redis, for all processes together. Without an answer of Redis, `claim` rejects. */
export class RedisReplayStore implements ReplayStore {
  readonly #redis: ReplayRedis;

  constructor(redis: ReplayRedis) {
    this.#redis = redis;
  }

  async claim(text: string, ttlMs: number): Promise<boolean> {
    const key = `${this.#redis.prefix}nonce:${createHash("sha256").update(text).digest("base64url")}`;
    const reply = await this.#redis.command(["SET", key, "1", "NX", "PX", String(ttlMs)]);
    return reply === "OK";
  }
}
