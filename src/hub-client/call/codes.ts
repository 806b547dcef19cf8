/** Numbers of `google.rpc.Code`, each for itself: those that nothing uses are not loaded. */
export const ok = 0;
export const cancelled = 1;
export const unknown = 2;
export const invalidArgument = 3;
export const notFound = 5;
export const permissionDenied = 7;
export const resourceExhausted = 8;
export const aborted = 10;
export const outOfRange = 11;
export const unimplemented = 12;
export const internal = 13;
export const unavailable = 14;
export const unauthenticated = 16;
