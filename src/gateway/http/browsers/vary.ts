import type { ResponseHead } from "../response-head.ts";

/** Adds names to `Vary`, without duplicates. */
export function addVary(response: ResponseHead, ...names: readonly string[]): void {
  const before = response.getHeader("vary");
  const listed =
    before === undefined
      ? []
      : String(before)
          .split(",")
          .map((name) => name.trim());
  if (listed.includes("*")) return;
  const known = new Set(listed.map((name) => name.toLowerCase()));
  const added = names.filter((name) => !known.has(name.toLowerCase()));
  if (added.length > 0)
    response.setHeader("vary", [...listed.filter((name) => name !== ""), ...added].join(", "));
}
