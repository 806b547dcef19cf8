import type { Redis } from "../redis/redis.ts";
import { RedisScript } from "../redis/script.ts";
import type { Rate } from "../config/rate-text.ts";

/** What is asked of a key in the store. */
export interface StoreRequest {
  /** Key in Redis. */
  readonly key: string;
  readonly rule: StoredRule;
  /** What must be there for the call to go on. */
  readonly least: number;
  /** What is taken if it is there; otherwise all that is left. */
  readonly want: number;
  /** Whether a refusal does not count for the other requests. */
  readonly shadow: boolean;
}

/** What the store says of a key. */
export interface StoreAnswer {
  /** Whether `least` was there. */
  readonly allowed: boolean;
  /** What was taken: nothing if another request was refused. */
  readonly granted: number;
  /** What is left. */
  readonly remaining: number;
  readonly resetMs: number;
  readonly retryMs: number;
}

/** A rule as the script reads it: kind, number, time. */
export type StoredRule = readonly [
  kind: "window" | "day" | "month" | "bucket",
  count: number,
  timeMs: number,
];

/** @param burst makes a token bucket of the rate */
export function toStoredRule(rate: Rate, burst: number | undefined): StoredRule {
  if ("calendar" in rate) return [rate.calendar, rate.count, 0];
  if (burst !== undefined) return ["bucket", burst, rate.windowMs / rate.count];
  return ["window", rate.count, rate.windowMs];
}

/**
 * Looks at all keys, and takes of all or of none. Times are those of the server. Of a window the value is what is used,
 * and the key ends with it; of a bucket it is the time at which it is full again.
 */
const take = new RedisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function endOfDay()
  return (math.floor(now / 86400000) + 1) * 86400000
end

-- Howard Hinnant's days_from_civil and civil_from_days.
local function endOfMonth()
  local z = math.floor(now / 86400000) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local year = yoe + era * 400
  mp = mp + 1
  if mp == 12 then
    mp = 0
    year = year + 1
  end
  local e = math.floor(year / 400)
  local y = year - e * 400
  local first = math.floor((153 * mp + 2) / 5)
  local days = e * 146097 + y * 365 + math.floor(y / 4) - math.floor(y / 100) + first - 719468
  return days * 86400000
end

local seen = {}
local refused = false
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 6
  local kind, count, span = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local least, want, shadow = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), ARGV[at + 6] == '1'
  local one = { kind = kind, count = count, span = span, want = want }
  local value = redis.call('GET', key)
  if kind == 'bucket' then
    one.full = math.max(tonumber(value or '0'), now)
    one.left = math.floor(count - (one.full - now) / span + 1e-9)
    one.reset = one.full - now
    one.retry = math.max(0, one.reset - (count - least) * span)
  else
    one.used = tonumber(value or '0')
    one.left = count - one.used
    if value then
      one.reset = redis.call('PTTL', key)
    elseif kind == 'window' then
      one.reset = span
    elseif kind == 'day' then
      one.reset = endOfDay() - now
    else
      one.reset = endOfMonth() - now
    end
    one.retry = one.reset
  end
  one.ok = least <= one.left
  if not one.ok and not shadow then refused = true end
  seen[i] = one
end

local out = {}
for i, key in ipairs(KEYS) do
  local one = seen[i]
  local granted = 0
  if one.ok and not refused then
    granted = math.min(one.want, one.left)
    if one.kind == 'bucket' then
      local full = one.full + granted * one.span
      redis.call('SET', key, string.format('%.3f', full), 'PX', math.max(1, math.ceil(full - now)))
      one.reset = full - now
    elseif one.used == 0 and redis.call('EXISTS', key) == 0 then
      redis.call('SET', key, granted, 'PX', math.max(1, math.ceil(one.reset)))
    else
      redis.call('INCRBY', key, granted)
    end
  end
  local base = (i - 1) * 5
  out[base + 1] = one.ok and 1 or 0
  out[base + 2] = granted
  out[base + 3] = one.left - granted
  out[base + 4] = math.ceil(one.reset)
  out[base + 5] = one.ok and 0 or math.ceil(one.retry)
end
return out
`);

/** Gives back what was taken, as far as its window is still there. */
const giveBack = new RedisScript(`
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 3
  local kind, span, granted = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local value = redis.call('GET', key)
  if value then
    if kind == 'bucket' then
      redis.call('SET', key, string.format('%.3f', tonumber(value) - granted * span), 'KEEPTTL')
    else
      redis.call('INCRBY', key, -math.min(granted, tonumber(value)))
    end
  end
end
return 0
`);

/** Counts calls in Redis, for all processes together. */
export class LimitStore {
  readonly redis: Redis;

  constructor(redis: Redis) {
    this.redis = redis;
  }

  /** The key in Redis of a key of a limit. @param hash as `storedKey` makes it */
  keyOf(limit: string, hash: string): string {
    return `${this.redis.prefix}limit:${limit}:${hash}`;
  }

  /**
   * Takes of all keys, or of none if one refuses.
   *
   * @throws RedisAway if there is no answer in time; Error that Redis answers
   */
  async take(requests: readonly StoreRequest[]): Promise<StoreAnswer[]> {
    const values = requests.flatMap(({ rule, least, want, shadow }) => [
      ...rule.map(String),
      String(least),
      String(want),
      shadow ? "1" : "0",
    ]);
    const keys = requests.map(({ key }) => key);
    const reply = (await this.redis.run(take, keys, values)) as readonly number[]; // As the script returns it.
    return requests.map((_, at) => {
      const [ok = 0, granted = 0, remaining = 0, resetMs = 0, retryMs = 0] = reply.slice(at * 5);
      return { allowed: ok === 1, granted, remaining, resetMs, retryMs };
    });
  }

  /** Gives back what `take` has granted. Never throws. */
  giveBack(requests: readonly StoreRequest[], answers: readonly StoreAnswer[]): void {
    const keys = requests.map(({ key }) => key);
    const values = requests.flatMap(({ rule: [kind, , timeMs] }, at) => [
      kind,
      String(timeMs),
      String(answers[at]?.granted ?? 0),
    ]);
    this.redis.run(giveBack, keys, values).catch(() => {}); // What is lost here is a call that might have passed.
  }

  /** Forgets a key. @throws as `take` */
  async reset(key: string): Promise<void> {
    await this.redis.command(["DEL", key]);
  }
}
