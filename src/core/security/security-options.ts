import { checkOptions } from "../config/check-options.ts";
import type { AuthProviderSource } from "./auth-provider.ts";
import { failureLimitDefaults, type FailureLimit } from "./failure-windows.ts";
import type { ForwardMode } from "./forward.ts";

/** How calls are authenticated. */
export interface AuthOptions {
  /** Who vouches for clients, by names that are the `provider` of principals. Default: none. */
  readonly providers?: Readonly<Record<string, AuthProviderSource>>;
  /**
   * File of what is revoked, read again when it changes: one `jti:ID`, `sub:ID`, `key:ID` or `cert:SHA256` a line.
   * Default: none.
   */
  readonly revokedFile?: string | undefined;
  /** How many bad credentials of a client are looked at. Default: 20 in a minute. */
  readonly failures?: FailureLimit;
  /** What servers behind this one get in place of `authorization`. Default: `token`, the credential as it came. */
  readonly forward?: ForwardMode;
  /** `iss` of assertions. Default: `ts-ms`. */
  readonly assertionIssuer?: string;
  /** File of the private key of assertions, PEM, of the curve P-256. Default: a key that is made at the start. */
  readonly assertionKeyFile?: string | undefined;
}

/** Defaults of `AuthOptions`. */
export const authDefaults: Required<AuthOptions> = Object.freeze({
  providers: Object.freeze({}),
  revokedFile: undefined,
  failures: failureLimitDefaults,
  forward: "token",
  assertionIssuer: "ts-ms",
  assertionKeyFile: undefined,
});

/** Checks options and adds the defaults. @throws SetupError naming the option */
export function checkAuthOptions(given: AuthOptions): Required<AuthOptions> {
  checkOptions<AuthOptions>("auth", given, authDefaults);
  return { ...authDefaults, ...given };
}
