import type { ConnectError } from "../errors/errors.ts";

/** One address at which a service can be called. */
export interface Endpoint {
  /** `host:port`, `[ipv6]:port` or `unix:/path`; an IP address saves another look-up. */
  readonly address: string;
  /** Its share of the calls beside others; 0 gets none. Default: 1, also for what is no number from 0 up. */
  readonly weight?: number;
  /** Where it stands, such as `eu-1a`. Default: nowhere known. */
  readonly zone?: string;
  /** The zones whose callers should use it, as EndpointSlices say. Default: no such advice. */
  readonly zoneHints?: readonly string[];
  /** Endpoints of the lowest number are used first, the others as these are not available. Default: 0. */
  readonly priority?: number;
  /** What names it in consistent hashing. Default: the address. */
  readonly hashKey?: string;
  /** What else is known about it. Default: nothing. */
  readonly meta?: Readonly<Record<string, string>>;
}

/** Takes what a resolver finds. */
export interface ResolverListener {
  /** All endpoints there are now, in any order; an empty list where there are none. */
  update(endpoints: readonly Endpoint[]): void;
  /**
   * The endpoints could not be found out. Those of the last update stay. The message may reach callers, so it names no
   * address: that is for its `cause`, which is logged.
   */
  failed(error: ConnectError): void;
  /** The endpoints of the last update were looked at again, and are still right. Default: not reported. */
  confirmed?(): void;
}

/** Finds the endpoints of one target, and follows their changes. */
export interface Resolver {
  /** Where it looks: `dns`, `consul`, …; a word of errors and statistics. */
  readonly name: string;
  /** The `:authority` of calls, and the name that certificates must carry. Default: none. */
  readonly authority?: string;
  /** Whether certificates carry `authority`; otherwise TLS needs `tls.serverName`. Default: true. */
  readonly namesCertificates?: boolean;
  /**
   * Begins to find endpoints. Tries again by itself after a failure.
   *
   * @param signal fires when they are no longer wanted; nothing of the resolver may keep the process alive
   */
  watch(listener: ResolverListener, signal: AbortSignal): void;
  /** Looks now, as calls have failed; at most once in 5 s. Default: not possible. */
  refresh?(): void;
}
