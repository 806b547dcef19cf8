/**
 * Whether the path of a request target contains the character U+0000. Programs in C end a string there, so that a file
 * system, a log or an upstream server would see another resource than the client requested.
 *
 * @param target path and query, as received
 */
export function hasNulInPath(target: string): boolean {
  const at = target.indexOf("%00");
  if (at === -1) return false;
  const query = target.indexOf("?");
  return query === -1 || at < query;
}
