/** What nodes of one hub in several processes have in common. */
export const nodeOptions = {
  joinsPerSecond: 0,
  maxPerUser: 0,
  heartbeatMs: 500,
  nodeTtlMs: 3_000,
  countTimeoutMs: 1_000,
  checkMs: 2_000,
  probeMs: 1_000,
} as const;

/** Of a topic with long messages: none is lost by its bounds. */
export const stateHistory = { size: 2_000, bytes: 128 * 1024 ** 2 } as const;
