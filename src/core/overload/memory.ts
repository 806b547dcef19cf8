import { getHeapStatistics } from "node:v8";

/** How full the memory is, from 0 to 1: of the heap, or of what the container may use, whichever is fuller. */
export function memoryUse(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  const container = process.constrainedMemory();
  const ofContainer = container > 0 && container < 2 ** 50 ? process.memoryUsage.rss() / container : 0;
  return Math.max(used / limit, ofContainer);
}
