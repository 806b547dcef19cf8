import { type SqlPool, type SqlPoolClient, toOwnError } from "./postgres-client.ts";
import { untilAborted } from "./until-aborted.ts";

/** How long a connection may take to roll back before it is closed, in milliseconds. */
const rollbackMs = 1_000;

/** A connection of the pool, for one piece of work. */
export interface Lent {
  readonly client: SqlPoolClient;
  /** Gives it back. @param broken whether it is closed in place of being used again */
  readonly giveBack: (broken?: boolean) => void;
}

/**
 * Takes a connection of a pool. A connection that is lost while it is taken says so by its statements: without a listener
 * its event would end the process.
 *
 * @param onLost is called when it is lost
 * @throws what `toOwnError` makes of the reason; the reason of the signal
 */
export async function takeClient(
  pool: SqlPool,
  signal: AbortSignal,
  onLost: () => void = () => {},
): Promise<Lent> {
  signal.throwIfAborted();
  const connecting = pool.connect();
  let client: SqlPoolClient;
  try {
    client = await untilAborted(connecting, signal);
  } catch (reason) {
    // A connection that comes too late is of use to others.
    if (signal.aborted) connecting.then((late) => late.release()).catch(() => {});
    throw toOwnError(reason);
  }
  client.on?.("error", onLost);
  return {
    client,
    giveBack(broken) {
      client.off?.("error", onLost);
      // The end of a connection that breaks now may still be told.
      if (broken === true) client.on?.("error", () => {});
      client.release(broken);
    },
  };
}

/** Runs statements of the store itself on a connection of the pool. @throws as `takeClient` */
export async function withClient<T>(
  pool: SqlPool,
  signal: AbortSignal,
  run: (client: SqlPoolClient) => Promise<T>,
): Promise<T> {
  const { client, giveBack } = await takeClient(pool, signal);
  const running = run(client);
  try {
    const result = await untilAborted(running, signal);
    giveBack();
    return result;
  } catch (reason) {
    // A statement that still runs must not be met by the next user of the connection, and one that has failed may have
    // lost it.
    running.catch(() => {});
    giveBack(true);
    throw toOwnError(reason);
  }
}

/** Rolls back and gives the connection back, which is closed where that does not go. Never rejects. */
export async function rollBack({ client, giveBack }: Lent): Promise<void> {
  const isBack = await bounded(client.query("rollback"), rollbackMs);
  giveBack(!isBack);
}

/** Waits for a statement so many milliseconds. Never rejects. @returns whether it was carried out in that time */
export async function bounded(running: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: tooLong, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  const done = running.then(
    () => true,
    () => false,
  );
  const isDone = await Promise.race([done, tooLong]);
  clearTimeout(timer);
  return isDone;
}
