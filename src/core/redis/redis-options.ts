import { checkOptions } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";

/** Where Redis is, and how long this process waits for it. */
export interface RedisOptions {
  /** `redis://[[user]:password@]host[:port][/database]`, with TLS `rediss://`. Default: none, with `sentinels`. */
  readonly url: string | undefined;
  /** Name of the user, in place of that of the URL. Default: none. */
  readonly username: string | undefined;
  /** Password, in place of that of the URL. Default: none. */
  readonly password: string | undefined;
  /** File of the CA certificates to verify the server's certificate against, PEM. Default: those of Node. */
  readonly ca: string | undefined;
  /** `HOST:PORT` of the Sentinels that know the server. Default: none. */
  readonly sentinels: readonly string[];
  /** Name by which the Sentinels know the server. Default: none. */
  readonly master: string | undefined;
  /** Begins every key. Default: `ts-ms:`. */
  readonly prefix: string;
  /** The longest time that a command takes before it has failed, in milliseconds. Default: 50. */
  readonly commandTimeoutMs: number;
  /** The longest time that an attempt to connect takes, in milliseconds. Default: 2,000. */
  readonly connectTimeoutMs: number;
}

/** The defaults of `RedisOptions`. */
export const redisDefaults: RedisOptions = Object.freeze({
  url: undefined,
  username: undefined,
  password: undefined,
  ca: undefined,
  sentinels: [],
  master: undefined,
  prefix: "ts-ms:",
  commandTimeoutMs: 50,
  connectTimeoutMs: 2_000,
});

/** The options with their defaults. @throws SetupError naming the one that cannot be used; it never shows the URL */
export function toRedisOptions(given: Partial<RedisOptions>): RedisOptions {
  checkOptions("Redis", given, redisDefaults);
  const options = { ...redisDefaults, ...given };
  const { url, sentinels, master } = options;
  if (sentinels.length > 0 !== (master !== undefined)) {
    throw new SetupError("Redis: sentinels and master belong together");
  }
  for (const address of sentinels) {
    if (!/^.+:\d{1,5}$/.test(address)) {
      throw new SetupError(`Redis: sentinels: ${JSON.stringify(address)} is not HOST:PORT`);
    }
  }
  if ((url === undefined) === (master === undefined)) {
    throw new SetupError("Redis: needs either url, such as redis://host:6379, or sentinels with master");
  }
  if (url !== undefined && !(/^rediss?:\/\//.test(url) && URL.canParse(url))) {
    throw new SetupError("Redis: url must be a URL such as redis://host:6379"); // The URL may hold a password.
  }
  return options;
}
