import { systemClock, type Clock } from "../time/clock.ts";

/** What is counted of authentication, as the metrics `ts_ms_auth_total` and `ts_ms_jwks_*` show it. */
export interface AuthBooks {
  /** A credential was looked at. @param provider its name in the configuration; `(none)` if no provider takes it */
  authenticated(provider: string, outcome: AuthOutcome): void;
  /** Keys were fetched. @param result `changed`, `same` or `failed` */
  keysFetched(provider: string, result: KeysResult): void;
  /** A set of keys is in use from now on. @returns the function that ends its being counted */
  openKeys(provider: string, ageMs: () => number | undefined): () => void;
}

/** What came of a credential: good, bad, too many bad ones before it, or a provider that cannot tell. */
export type AuthOutcome = "accepted" | "refused" | "limited" | "unavailable";

/** What came of a fetch of keys. */
export type KeysResult = "changed" | "same" | "failed";

/** Where security writes what operators should know. A pino logger is one. */
export interface SecurityLogger {
  warn(fields: Readonly<Record<string, unknown>>, text: string): void;
}

/** Time, chance, log and counts of security, of which tests have their own. */
export interface SecurityParts {
  /** Of timers and pauses. */
  readonly clock: Clock;
  /** Time of day, in milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random: () => number;
  readonly logger: SecurityLogger | undefined;
  readonly books: AuthBooks | undefined;
}

/** The parts of this process: its clock, no log, no counts. */
export const systemParts: SecurityParts = Object.freeze({
  clock: systemClock,
  wallMs: () => Date.now(),
  random: Math.random,
  logger: undefined,
  books: undefined,
});
