import { systemClock, type Clock } from "../time/clock.ts";
import { PendingCommands, type Pending } from "./pending-commands.ts";
import { linkTo, type RedisLink, type RedisReply } from "./link.ts";
import { toRedisOptions, type RedisOptions } from "./redis-options.ts";
import type { RedisScript } from "./script.ts";

/** Redis does not answer, or not in time. The command may have been carried out all the same. */
export class RedisAway extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "RedisAway";
  }
}

/** Failures in a row after which commands fail at once. */
const failuresToOpen = 3;
/** The time between two questions whether Redis is back, in milliseconds. */
const probeMs = 1_000;

/**
 * Redis as calls use it: a command takes `commandTimeoutMs` at most, and after three failures in a row all fail at once,
 * those that wait too, until Redis answers again. It is asked each second, and when it has been connected again.
 *
 * ```
 *              three failures in a row
 *   in use ──────────────────────────────▶ away
 *     ▲                                     │
 *     └──────── PING is answered ───────────┘
 * ```
 */
export class Redis {
  readonly prefix: string;
  readonly #makeLink: () => Promise<RedisLink>;
  #link: RedisLink | undefined;
  readonly #clock: Clock;
  readonly #afterReading: (fn: () => void) => void;
  readonly #timeoutMs: number;
  /** Commands under way: all have the same time. */
  readonly #pending = new PendingCommands();
  #cancelTimer: (() => void) | undefined;
  #cancelProbe: (() => void) | undefined;
  #failures = 0;
  #away = true;
  #probing = false;

  /**
   * @param afterReading calls a function once what has arrived from the network has been read
   * @throws SetupError for options that cannot be used
   */
  constructor(
    options: Partial<RedisOptions>,
    makeLink: (options: RedisOptions) => Promise<RedisLink> = linkTo,
    clock: Clock = systemClock,
    afterReading: (fn: () => void) => void = setImmediate,
  ) {
    const checked = toRedisOptions(options);
    this.#makeLink = () => makeLink(checked);
    this.#clock = clock;
    this.#afterReading = afterReading;
    this.#timeoutMs = checked.commandTimeoutMs;
    this.prefix = checked.prefix;
  }

  /**
   * Connects in the background. Redis may be away, now and later: commands fail then.
   *
   * @throws SetupError without the package `@redis/client`
   */
  async connect(): Promise<void> {
    if (this.#link !== undefined) return;
    const link = await this.#makeLink();
    this.#link = link;
    this.#away = false;
    link.onReady(() => void this.#probe());
  }

  /** Whether commands fail at once. */
  get isAway(): boolean {
    return this.#away;
  }

  /** Whether Redis can be reached, as soon as it can or after a time in milliseconds. */
  async whenReady(timeoutMs: number): Promise<boolean> {
    const link = this.#link;
    if (link === undefined || link.isReady) return link !== undefined;
    return new Promise((resolve) => {
      const cancel = this.#clock.after(timeoutMs, () => resolve(false));
      link.onReady(() => {
        cancel();
        resolve(true);
      });
    });
  }

  /** @throws RedisAway without an answer in time; Error that Redis answers */
  command(command: readonly string[]): Promise<RedisReply> {
    const link = this.#link;
    if (this.#away || link === undefined) return Promise.reject(new RedisAway("Redis is away"));
    return this.#timed(link.send(command));
  }

  /**
   * Runs a script, which Redis keeps by its hash.
   *
   * @param keys with the prefix
   * @throws as `command`
   */
  async run(script: RedisScript, keys: readonly string[], values: readonly string[]): Promise<RedisReply> {
    const rest = [String(keys.length), ...keys, ...values];
    try {
      return await this.command(["EVALSHA", script.sha, ...rest]);
    } catch (reason) {
      // Redis has started again, or has never seen the script.
      if (!(reason instanceof Error) || !reason.message.startsWith("NOSCRIPT")) throw reason;
      return this.command(["EVAL", script.text, ...rest]);
    }
  }

  /** Ends the connection; commands under way fail. `connect` may follow. */
  close(): void {
    const link = this.#link;
    this.#link = undefined;
    this.#open();
    this.#cancelProbe?.();
    link?.close();
  }

  #timed(answer: Promise<RedisReply>): Promise<RedisReply> {
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        untilMs: this.#clock.nowMs() + this.#timeoutMs,
        fail: reject,
        isSettled: false,
      };
      this.#pending.add(pending);
      if (this.#pending.first === pending) this.#watchFirst();
      answer.then(
        (reply) => {
          if (!this.#pending.settle(pending)) return;
          this.#failures = 0;
          resolve(reply);
        },
        (reason: unknown) => {
          if (!this.#pending.settle(pending)) return;
          if (isAnswer(reason)) {
            this.#failures = 0;
            reject(reason);
          } else {
            reject(new RedisAway("Redis cannot be reached", reason));
            this.#failed();
          }
        },
      );
    });
  }

  /** One timer for all: it runs until none is under way when it fires. */
  #watchFirst(): void {
    if (this.#cancelTimer !== undefined) return;
    const { first } = this.#pending;
    if (first === undefined) return;
    const leftMs = Math.max(0, first.untilMs - this.#clock.nowMs());
    // In a process that is late itself the answer may be there, but not read.
    const due = (): void => this.#afterReading(() => this.#expire());
    this.#cancelTimer = this.#clock.after(leftMs, due, false);
  }

  #expire(): void {
    this.#cancelTimer = undefined;
    const { first } = this.#pending;
    if (first !== undefined && first.untilMs <= this.#clock.nowMs()) {
      // Redis answers in order: what was sent behind the first command would wait even longer.
      for (let late = this.#pending.first; late !== undefined; late = this.#pending.first) {
        this.#pending.settle(late);
        late.fail(new RedisAway(`Redis has not answered in ${this.#timeoutMs} ms`));
        this.#failed();
      }
    }
    this.#watchFirst();
  }

  #failed(): void {
    if (++this.#failures >= failuresToOpen) this.#open();
  }

  #open(): void {
    this.#failures = 0;
    for (const { fail } of this.#pending.takeAll()) fail(new RedisAway("Redis is away"));
    if (this.#away) return;
    this.#away = true;
    this.#askLater();
  }

  #askLater(): void {
    this.#cancelProbe?.();
    if (this.#link === undefined) return;
    this.#cancelProbe = this.#clock.after(probeMs, () => void this.#probe(), false);
  }

  async #probe(): Promise<void> {
    const link = this.#link;
    if (!this.#away || this.#probing || link === undefined) return;
    this.#probing = true;
    try {
      if (link.isReady) {
        await this.#timed(link.send(["PING"]));
        this.#away = this.#link !== link;
        this.#cancelProbe?.();
      }
    } catch {
      // It is still away.
    }
    this.#probing = false;
    if (this.#away) this.#askLater();
  }
}

/** Whether Redis has said so itself: the connection works. Starting and leaving servers answer LOADING and the like. */
function isAnswer(reason: unknown): boolean {
  if (!(reason instanceof Error)) return false;
  return /^(?:ERR|NOSCRIPT|WRONGTYPE|NOPERM|OOM|WRONGPASS|NOAUTH|BUSYKEY|EXECABORT)\b/.test(reason.message);
}

/**
 * A connection to Redis, which is made in the background.
 *
 * @throws SetupError for options that cannot be used, and without the package `@redis/client`
 */
export async function connectRedis(options: Partial<RedisOptions>): Promise<Redis> {
  const redis = new Redis(options);
  await redis.connect();
  return redis;
}
