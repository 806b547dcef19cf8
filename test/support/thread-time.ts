import { setImmediate as nextTurn } from "node:timers/promises";

/** CPU time of this thread, in milliseconds: what other work on the machine does not make longer. */
export function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** The most CPU time that a turn of the event loop takes while something is done, in milliseconds. */
export async function longestTurnMs(work: Promise<unknown>): Promise<number> {
  let isOver = false;
  let longest = 0;
  const watch = (async () => {
    while (!isOver) {
      const begun = threadMs();
      await nextTurn();
      longest = Math.max(longest, threadMs() - begun);
    }
  })();
  await work.finally(() => (isOver = true));
  await watch;
  return longest;
}
