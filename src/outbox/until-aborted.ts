/** What `promise` gives; rejects with the signal's reason as soon as that fires. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error); // As it was given to `abort`.
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(
      (value) => {
        signal.removeEventListener("abort", abort);
        resolve(value);
      },
      (reason: unknown) => {
        signal.removeEventListener("abort", abort);
        reject(reason);
      },
    );
  });
}
