import type { Code, ConnectError } from "../errors/errors.ts";
import type { Resolver } from "./resolver.ts";

/** How the endpoints of a cluster are chosen. */
export type RoutedBalance =
  | { readonly policy: "round_robin" }
  | { readonly policy: "least_request"; readonly choices: number }
  /** By a request header; by chance without one. */
  | { readonly policy: "hash"; readonly header?: string };

/** When endpoints of a cluster are ejected; what is missing has its default. */
export interface RoutedOutlier {
  readonly consecutiveFailures: number;
  readonly failureRatio: number;
  readonly minCalls?: number;
  readonly intervalMs: number;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly maxEjectionPercent: number;
}

/** How a call is tried again. */
export interface RoutedRetry {
  readonly codes: readonly Code[];
  /** With the first one. */
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
}

/** Some of the endpoints of a target, which are called in one way. */
export interface RoutedGroup {
  /** Finds the endpoints; the same object for as long as it is the same cluster. */
  readonly resolver: Resolver;
  readonly balance: RoutedBalance;
  /** Undefined for no ejections. */
  readonly outlier: RoutedOutlier | undefined;
  /** Most calls under way. */
  readonly maxRequests: number;
  /** How calls of a path are tried again; undefined for what the contract says. */
  readonly retryOf: (path: string) => RoutedRetry | undefined;
  /** The same for equal retries. */
  readonly retryKey: string;
}

/** What is done to some calls on purpose. */
export interface RouteFault {
  /** Undefined for no delay. */
  readonly delay: { readonly ms: number; readonly share: number } | undefined;
  /** Undefined for no error. */
  readonly abort: { readonly error: ConnectError; readonly share: number } | undefined;
  readonly maxActive: number;
  /** Calls that are delayed now. */
  active: number;
}

/** Where a call goes. */
export interface CallRoute {
  /** A name of `RoutedTarget.groups`. */
  readonly group: string;
  /** The longest time of the call, in milliseconds; undefined for no limit. */
  readonly timeoutMs: number | undefined;
  readonly faults: readonly RouteFault[];
}

/** What routes read of a call. */
export interface RoutedCallHead {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The headers of the request; read only where routes depend on them. */
  readonly headers: () => Headers;
}

/** All that is known of a target whose calls are routed. */
export interface RoutedTarget {
  readonly groups: ReadonlyMap<string, RoutedGroup>;
  /** Where a call goes, or why it fails, without the name of the target. @param random returns numbers from 0 to 1, without 1 */
  route(call: RoutedCallHead, random: () => number): CallRoute | ConnectError;
}

/** Takes what a `RoutedResolver` finds. */
export interface RoutesListener {
  update(target: RoutedTarget): void;
  /** The target could not be found out; that of the last update stays. */
  failed(error: ConnectError): void;
}

/** A resolver that also says which calls go to which of its endpoints, and how. */
export interface RoutedResolver extends Resolver {
  /** As `watch`, in place of it. */
  watchRoutes(listener: RoutesListener, signal: AbortSignal): void;
}
