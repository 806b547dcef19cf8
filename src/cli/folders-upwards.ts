import { dirname } from "node:path";

/** A folder and those that it is in, up to the root, in the order in which Node looks for packages. */
export function* foldersUpwards(from: string): Generator<string, void, undefined> {
  yield from;
  const outer = dirname(from);
  if (outer !== from) yield* foldersUpwards(outer);
}
