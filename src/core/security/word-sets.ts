/** Equal sets are kept once: as many at most. */
const maxSets = 1_000;

const none: ReadonlySet<string> = new Set<string>();
const sets = new Map<string, ReadonlySet<string>>();

/** The set of some words. Equal lists get the same set, for thousands of tokens have the same scopes. */
export function wordSet(words: readonly string[]): ReadonlySet<string> {
  if (words.length === 0) return none;
  const key = words.join("\n");
  let set = sets.get(key);
  if (set === undefined) {
    if (sets.size >= maxSets) sets.clear();
    sets.set(key, (set = new Set(words)));
  }
  return set;
}
