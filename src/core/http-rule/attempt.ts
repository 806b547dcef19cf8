/**
 * Returns the result of `make`, or undefined if `make` throws a `SetupError` because the rule is invalid; the error is
 * kept for later.
 */
export type Attempt = <T>(make: () => T) => T | undefined;

/** An attempt that propagates the error of `make`. */
export const attemptStrictly: Attempt = (make) => make();
