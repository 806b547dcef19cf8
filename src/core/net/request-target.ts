/**
 * Whether the path of a request target holds the character U+0000. Programs in C end a text there, so a path of files,
 * a log or a proxy behind would see another resource than the one that was asked for.
 *
 * @param target path and query, as they came
 */
export function hasNulInPath(target: string): boolean {
  const at = target.indexOf("%00");
  if (at === -1) return false;
  const query = target.indexOf("?");
  return query === -1 || at < query;
}
