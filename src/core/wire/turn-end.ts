/** Holds what is to be written at the end of a turn of the event loop. */
export interface Flushed {
  /** Writes it. It does not throw. */
  flush(): void;
}

let waiting: Flushed[] = [];

/** Calls `flush` at the end of this turn of the event loop, of all together by one task. */
export function flushAtTurnEnd(one: Flushed): void {
  if (waiting.push(one) === 1) process.nextTick(flushAll);
}

function flushAll(): void {
  const all = waiting;
  waiting = [];
  for (const one of all) one.flush();
}
