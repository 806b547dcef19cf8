import type { ConnectError } from "@connectrpc/connect";

const spent = new WeakSet<ConnectError>();

/**
 * Marks the error of a call that this process has tried again as often as it may. A server that lets it
 * through states that its callers must not try again either, so that the retries of layers do not multiply.
 */
export function markSpent(error: ConnectError): void {
  spent.add(error);
}

/** Whether an error, or the one that it was copied from, was marked by `markSpent`. */
export function isSpent(error: ConnectError): boolean {
  return spent.has(error);
}

/** Marks `copy` if `error` is marked. */
export function copySpent(error: ConnectError, copy: ConnectError): void {
  if (spent.has(error)) spent.add(copy);
}
