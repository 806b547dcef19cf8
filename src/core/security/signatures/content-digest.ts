import { hash as digestOf, timingSafeEqual } from "node:crypto";

/** Names of RFC 9530 and of Node. */
const hashes: Readonly<Record<string, string>> = { "sha-256": "sha256", "sha-512": "sha512" };

/** The value of `content-digest` (RFC 9530) for a body. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${digestOf("sha256", body, "base64")}:`;
}

/** What of the field `content-digest` a signature covers: all of it, one member, or nothing. */
export type CoveredDigest = "all" | { readonly member: string } | undefined;

/** The covered part of the field, given by its values; undefined for none. Of members of one name the last counts. */
export function coveredDigest(values: readonly string[], covered: CoveredDigest): string | undefined {
  if (covered === undefined || values.length === 0) return undefined;
  const all = values.join(", ");
  if (covered === "all") return all;
  return all.split(",").findLast((part) => part.trim().startsWith(`${covered.member}=`));
}

/** Whether `content-digest` is that of the body: at least one digest is known, and each of those is right. */
export function isDigestOf(value: string, body: Uint8Array): boolean {
  let known = 0;
  for (const part of value.split(",")) {
    const [, name = "", base64 = ""] = /^\s*([a-z0-9-]+)=:([^:]*):\s*$/.exec(part) ?? [];
    const hash = Object.hasOwn(hashes, name) ? hashes[name] : undefined;
    if (name === "") return false;
    if (hash === undefined) continue;
    const expected = digestOf(hash, body, "buffer");
    const given = Buffer.from(base64, "base64");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
    known++;
  }
  return known > 0;
}
