/** The members that have a value; lists of a configuration that are empty were not given. */
export function given<T extends object>(members: T): Given<T> {
  const has = ([, value]: [string, unknown]): boolean =>
    value !== undefined && !(Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(members).filter(has)) as Given<T>; // Of the same members.
}

/** Members that are there have a value. */
export type Given<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };
