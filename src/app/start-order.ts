import { SetupError } from "../core/errors/setup-error.ts";

/** What has to be started after others. */
interface Ordered {
  readonly name: string;
  /** Names of those that come before it. */
  readonly after: readonly string[];
}

/**
 * The order in which `items` are started: each behind those that it comes after, otherwise as they are.
 *
 * @throws SetupError naming an item whose predecessor is not there, or the items that wait for one another
 */
export function startOrder<T extends Ordered>(items: readonly T[]): readonly T[] {
  const byName = new Map(items.map((item) => [item.name, item]));
  const order = new Set<T>();
  const visit = (item: T, path: readonly string[]): void => {
    if (order.has(item)) return;
    const way = [...path, item.name];
    if (path.includes(item.name)) {
      throw new SetupError(`servers cannot be started after one another: ${way.join(" → ")}`);
    }
    for (const name of item.after) {
      const before = byName.get(name);
      if (before === undefined) {
        throw new SetupError(
          `the server "${item.name}" is to be started after "${name}", which is not registered`,
        );
      }
      visit(before, way);
    }
    order.add(item);
  };
  for (const item of items) visit(item, []);
  return [...order];
}
