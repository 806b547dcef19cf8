import assert from "node:assert/strict";
import { inspect } from "node:util";
import { ConnectError, type Code } from "../../src/core/errors/errors.ts";

/** The error that `work` rejects with; fails when it resolves or when the error is no `ConnectError` of `code`. */
export async function failure(work: Promise<unknown>, code?: Code): Promise<ConnectError> {
  let result: unknown;
  try {
    result = await work;
  } catch (error) {
    assert.ok(error instanceof ConnectError, `no ConnectError: ${String(error)}`);
    if (code !== undefined) assert.equal(error.code, code, String(error));
    return error;
  }
  assert.fail(`no error came, but ${inspect(result)}`);
}

/** All items of `source`. */
export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** `items`, one by one. */
export async function* each<T>(...items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** A promise that never settles. */
export function never<T>(): Promise<T> {
  return new Promise(() => {});
}

/**
 * Whether something is settled "at once": within so many turns of the event loop, however long each of them takes on a
 * machine with other load. Nothing that waits for a timer or for another process is.
 */
export async function isImmediate(work: Promise<unknown>, turns = 20): Promise<boolean> {
  let isSettled = false;
  const settled = (): void => void (isSettled = true);
  work.then(settled, settled);
  for (let turn = 0; turn < turns && !isSettled; turn++) await new Promise(setImmediate);
  return isSettled;
}
