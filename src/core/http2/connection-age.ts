/**
 * The age at which a server ends one of its connections, in milliseconds: the mean +/-10 %, so that connections that were
 * made together do not end together. Those that come in the first such time of a process came with many others, as after a
 * restart of all servers: they are given 50 % to 110 %, so that they come back over more than half of that time, and the
 * rate of new connections stays below twice the usual one.
 *
 * @param meanMs the age that is configured
 * @param upMs how long the process runs
 * @param random a number from 0 to 1
 */
export function connectionAgeMs(meanMs: number, upMs: number, random: number): number {
  const leastShare = upMs < meanMs ? 0.5 : 0.9;
  return meanMs * (leastShare + (1.1 - leastShare) * random);
}
