/** The path of a request target, as received: the part before the first `?`. */
export function pathOf(target: string): string {
  const end = target.indexOf("?");
  return end === -1 ? target : target.slice(0, end);
}

/**
 * The query of a request target, as received, without `?`; empty if there is none.
 *
 * @param path its path, if the caller has it already
 */
export function queryOf(target: string, path: string = pathOf(target)): string {
  return path.length === target.length ? "" : target.slice(path.length + 1);
}

/**
 * Whether the path of a request target contains the character U+0000. Programs in C end a string there, so that a file
 * system, a log or an upstream server would see another resource than the client requested.
 *
 * @param target path and query, as received
 */
export function hasNulInPath(target: string): boolean {
  const at = target.indexOf("%00");
  return at !== -1 && at < pathOf(target).length;
}
