import type { BusNode, BusOperation } from "./bus.ts";

/** Does something at a bus, and tells its hub how long that has taken, or that it has failed. */
export async function measured<T>(
  node: Pick<BusNode, "did"> | undefined,
  operation: BusOperation,
  work: () => Promise<T>,
): Promise<T> {
  const beganMs = performance.now();
  try {
    const result = await work();
    node?.did?.(operation, performance.now() - beganMs);
    return result;
  } catch (reason) {
    node?.did?.(operation, undefined);
    throw reason;
  }
}
