import type { CallContext } from "../call/context.ts";
import { largestKnownCode, type Code } from "../errors/errors.ts";
import { codeOfHttpStatus } from "../errors/http-status.ts";
import { headerOf } from "./caller-request.ts";

/** What a caller asks for by headers; undefined where it does not. */
export interface AskedFault {
  readonly delayMs: number | undefined;
  readonly abort: Code | undefined;
  /** Percentages; at most those of the fault count. */
  readonly delayPercent: number;
  readonly abortPercent: number;
}

const prefix = "x-envoy-fault-";

/** Reads Envoy's headers; values that cannot be read count as missing. */
export function askedFault(context: CallContext): AskedFault {
  const number = (name: string, most: number): number | undefined => {
    const text = headerOf(context, prefix + name)?.trim();
    if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined;
    const value = Number(text);
    return value <= most ? value : undefined;
  };
  const code = number("abort-grpc-request", largestKnownCode);
  const status = number("abort-request", 599);
  const ofStatus = status === undefined || status < 200 ? undefined : codeOfHttpStatus(status);
  return {
    delayMs: number("delay-request", 2 ** 31 - 1) || undefined, // 0 is no delay.
    abort: code === undefined || code === 0 ? ofStatus : code,
    delayPercent: number("delay-request-percentage", 100) ?? 100,
    abortPercent: number("abort-request-percentage", 100) ?? 100,
  };
}

/** Removes these headers from what the callee gets. */
export function stripFaultHeaders(context: CallContext): void {
  let found: string[] | undefined;
  context.eachRequestHeader((name) => {
    if (name.startsWith(prefix)) (found ??= []).push(name);
  });
  if (found !== undefined) for (const name of found) context.requestHeader.delete(name);
}
