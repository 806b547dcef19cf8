import type { AccessLevel } from "../../admission/access-level.ts";
import type { DoorName } from "../../admission/call-head.ts";

/** Who may call an rpc. Every condition that is given must hold. */
export interface AccessRuleInit {
  /** Default: `authenticated` where a condition is given, else the default level. */
  readonly level?: AccessLevel | undefined;
  /** Scopes of which the caller has all. Default: none needed. */
  readonly scopes?: readonly string[] | undefined;
  /** Scopes of which the caller has one. Default: none needed. */
  readonly anyScope?: readonly string[] | undefined;
  /** Roles of which the caller has one. Default: none needed. */
  readonly roles?: readonly string[] | undefined;
  /** Ids of principals of which the caller's is one. Default: any. */
  readonly principals?: readonly string[] | undefined;
  /** Providers of which the caller's is one. Default: any. */
  readonly providers?: readonly string[] | undefined;
  /** Addresses and ranges, such as `10.0.0.0/8`, of which one has the caller's address. Default: any. */
  readonly ips?: readonly string[] | undefined;
  /** Protocols of which the call came by one. Default: any. */
  readonly doors?: readonly DoorName[] | undefined;
  /** Whether each call is written to the audit log. Default: false. */
  readonly audit?: boolean | undefined;
  /** Field of the request whose value is in the audit record: `book.name`. Default: none. */
  readonly resource?: string | undefined;
  /**
   * Fields of the request, as paths of proto names, each with the claim of the caller that it must equal, or with a
   * constant in quotes: `{ "book.owner": "sub" }`. Default: none.
   */
  readonly match?: Readonly<Record<string, string>> | undefined;
  /** Condition in CEL over `request`, `auth` and `call`. Default: none. */
  readonly when?: string | undefined;
}

/** Who may call what. */
export interface AccessOptions {
  /**
   * Level of rpcs for which no rule says one. Default: `public`; `authenticated` where `hasProviders`.
   */
  readonly default: AccessLevel | undefined;
  /** Level of `grpc.health.v1`, unless a rule says another. Default: `public`. */
  readonly health: AccessLevel;
  /** Level of server reflection and of channelz, unless a rule says another. Default: that of `default`. */
  readonly reflection: AccessLevel | undefined;
  /**
   * Rules by `package.Service/Method`, `package.Service/*` or `package.*`, which is all below the package; a dot before
   * the method means the same. Default: none.
   */
  readonly rules: Readonly<Record<string, AccessRuleInit>>;
}

/** The defaults of `AccessOptions`. */
export const accessDefaults: AccessOptions = Object.freeze({
  default: undefined,
  health: "public",
  reflection: undefined,
  rules: Object.freeze({}),
});
