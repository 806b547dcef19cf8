/** Spans that were lost: as the queue was full, or the collector did not take them. */
export const traceCounts = { dropped: 0 };
