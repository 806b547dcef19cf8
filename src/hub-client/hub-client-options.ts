import type { Registry } from "@bufbuild/protobuf";
import type { BackoffOptions } from "./backoff.ts";
import type { LinkName } from "./call/hub-state.ts";
import type { TokenSource } from "./tokens.ts";

/** Options of `connectHub`. */
export interface HubClientOptions {
  /**
   * Gives the token for `authorization: Bearer …`; called again when a token is refused or ends soon. It never stands in a
   * URL. Default: none.
   */
  readonly token: TokenSource | undefined;
  /** The links that may be used, the best one first. Default: `websocket`, `sse`, `poll`. */
  readonly transports: readonly LinkName[];
  /** The waits between attempts, with full jitter. Default: 1,000 and 30,000 ms. */
  readonly backoff: BackoffOptions;
  /** How long a connection must have lived for its loss to count as a first one, in milliseconds. Default: 10,000. */
  readonly stableMs: number;
  /** The longest time until a socket is open, or the first bytes of a stream arrive, in milliseconds. Default: 5,000. */
  readonly connectTimeoutMs: number;
  /** The name of this client in the server's lists. Default: `ts-ms`. */
  readonly client: string;
  /** Types for `google.protobuf.Any` in messages. Default: none. */
  readonly registry: Registry | undefined;
  /** Told of errors that no caller gets: of handlers, of `token`. Default: `console.error`. */
  readonly onError: (error: unknown) => void;
}

/** The defaults of `HubClientOptions`. */
export const hubClientDefaults = Object.freeze<HubClientOptions>({
  token: undefined,
  transports: ["websocket", "sse", "poll"],
  backoff: { initialMs: 1_000, maxMs: 30_000 },
  stableMs: 10_000,
  connectTimeoutMs: 5_000,
  client: "ts-ms",
  registry: undefined,
  // oxlint-disable-next-line no-console -- A page has no other log.
  onError: (error) => console.error(error),
});
