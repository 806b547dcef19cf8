import { pathOf } from "../../core/net/request-target.ts";

/** Separators and U+0000 in percent-encoding. */
const hiddenSeparator = /%(?:2f|5c|00)/i;

/**
 * The decoded path of a request target if it is the only way to write it: without empty segments, dot segments and
 * hidden separators, encoded or not. Undefined for others, and for paths of files whose names begin with a dot.
 */
export function canonicalPath(target: string): string | undefined {
  const raw = pathOf(target);
  if (!raw.startsWith("/") || hiddenSeparator.test(raw)) return undefined;
  let path: string;
  try {
    path = decodeURIComponent(raw);
  } catch {
    return undefined;
  }
  return path.includes("\\") || path.includes("\0") || path.includes("//") || path.includes("/.")
    ? undefined
    : path;
}
