/** How the topic of the suite is kept: more than is published while a client is away. */
export const kept = { history: { size: 2_000, ttlMs: 600_000, bytes: 8 * 1024 ** 2 }, replayMax: 2_000 };
