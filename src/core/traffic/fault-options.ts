import { show } from "../config/check-options.ts";
import { largestKnownCode, type Code } from "../errors/errors.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";
import { Selector } from "../policy/selector.ts";
import { checkList } from "./check-list.ts";
import { matcherOf, type Matcher, type RequestTest } from "./matcher.ts";

/** A fault that some calls get: a delay, or an error in place of the call. */
export interface FaultInit {
  /** Share of the calls, 0 to 100. */
  readonly percent: number;
  /** How long a call is held before it goes on, in milliseconds. Deadline, cancellation and drain end it earlier. */
  readonly delayMs?: number;
  /** Code of the error, before anything of the call is sent. */
  readonly abort?: Code;
  /** Text of the error. Default: `fault injected`. */
  readonly message?: string;
  /** The rpcs, a selector such as `package.Service/*`. Default: all. Health checks never get faults. */
  readonly methods?: string;
  /** Tests of the caller's request, of which it must pass one. Default: none. */
  readonly when?: readonly RequestTest[];
  /**
   * Whether the caller may choose by Envoy's headers: `x-envoy-fault-delay-request` in milliseconds,
   * `x-envoy-fault-abort-grpc-request` by code, `x-envoy-fault-abort-request` by status of HTTP, and with
   * `x-envoy-fault-delay-request-percentage` and `x-envoy-fault-abort-request-percentage` smaller shares than
   * `percent`. Without `delayMs` and `abort` both kinds are the caller's choice. Default: false.
   */
  readonly allowHeaders?: boolean;
  /** Most calls that are held at the same time; further ones go on at once. Default: 100. */
  readonly maxActive?: number;
}

/** A fault, checked. */
export interface Fault {
  readonly percent: number;
  readonly delayMs: number | undefined;
  readonly abort: Code | undefined;
  readonly message: string;
  readonly selector: Selector | undefined;
  readonly when: readonly Matcher[] | undefined;
  readonly allowHeaders: boolean;
  readonly maxActive: number;
}

const names = ["percent", "delayMs", "abort", "message", "methods", "when", "allowHeaders", "maxActive"];

/** @param place of the fault, for errors. @throws SetupError naming place and member */
export function checkFault(fault: FaultInit, place: string): Fault {
  if (typeof fault !== "object" || fault === null) {
    throw new SetupError(`${place} must be an object, not ${show(fault)}`);
  }
  for (const name of Object.keys(fault)) {
    if (names.includes(name)) continue;
    const near = nearestName(name, names);
    throw new SetupError(
      `${place}: there is no option ${JSON.stringify(name)}${near === undefined ? "" : `; did you mean ${near}?`}`,
    );
  }
  const { percent, delayMs, abort, methods, when, message = "fault injected" } = fault;
  const { allowHeaders = false, maxActive = 100 } = fault;
  checkPercent(percent, place);
  const must = (isGood: boolean, name: string, what: string, value: unknown): void => {
    if (!isGood) throw new SetupError(`${place}: ${name} must be ${what}, not ${show(value)}`);
  };
  const isDelay = typeof delayMs === "number" && delayMs > 0 && delayMs < 2 ** 31;
  must(delayMs === undefined || isDelay, "delayMs", "a number above 0", delayMs);
  const isCode = Number.isInteger(abort) && Number(abort) >= 1 && Number(abort) <= largestKnownCode;
  must(abort === undefined || isCode, "abort", "the code of an error", abort);
  must(Number.isInteger(maxActive) && maxActive >= 1, "maxActive", "a whole number from 1", maxActive);
  must(typeof message === "string", "message", "a text", message);
  must(typeof allowHeaders === "boolean", "allowHeaders", "true or false", allowHeaders);
  if (when !== undefined) checkList(when, `${place}: when`, "tests");
  if (delayMs !== undefined && abort !== undefined) {
    throw new SetupError(
      `${place}: a fault has delayMs or abort; give two faults, each with its own percent`,
    );
  }
  if (delayMs === undefined && abort === undefined && !allowHeaders) {
    throw new SetupError(`${place}: give delayMs, abort or allowHeaders`);
  }
  return {
    percent,
    delayMs,
    abort,
    message,
    selector: methods === undefined ? undefined : new Selector(methods),
    when: when?.map((test, index) => matcherOf(test, `${place}: when[${index}]`)),
    allowHeaders,
    maxActive,
  };
}

/** @throws SetupError for what is no percentage */
export function checkPercent(percent: unknown, place: string): void {
  if (typeof percent === "number" && percent >= 0 && percent <= 100) return;
  throw new SetupError(`${place}: percent must be a number from 0 to 100, not ${show(percent)}`);
}
