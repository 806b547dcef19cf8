/** How often something is tried, and after how long again, in milliseconds. */
const attempts = 500;
const againMs = 10;

/**
 * Tries something until it succeeds: a broker that was only started answers later.
 *
 * @throws Error with the last failure as its cause
 */
export async function whenUp(attempt: () => Promise<unknown>): Promise<void> {
  for (let count = 1; ; count++) {
    try {
      await attempt();
      return;
    } catch (cause) {
      if (count === attempts) throw new Error("the broker does not answer", { cause });
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }
}
