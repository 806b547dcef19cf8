/** Longest time that steps take the thread, in milliseconds: a call waits for several, as it takes several turns. */
const sliceMs = 2;

/** Does all steps; other work goes on meanwhile. */
export async function inSlices<T>(steps: Generator<void, T>): Promise<T> {
  let since = performance.now();
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    if (performance.now() - since < sliceMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  }
}
