/** A connection with its place in the order in which all have come: of those that wait, at whatever worker, the oldest is first. */
export interface Offered<C> {
  readonly connection: C;
  readonly order: number;
}

/** Puts a connection before those that came after it: behind them it would wait for ever where more come than are taken. */
export function insertByAge<C>(queue: Offered<C>[], offered: Offered<C>): void {
  let at = queue.length;
  while (at > 0 && (queue[at - 1]?.order ?? 0) > offered.order) at--;
  queue.splice(at, 0, offered);
}
