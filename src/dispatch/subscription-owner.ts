import type { HandlerContext } from "@connectrpc/connect";
import { principal } from "../core/security/principal.ts";

/**
 * To whom subscriptions of a caller belong: provider, issuer and id of its principal. All anonymous callers are one owner,
 * and a caller of the configuration's there is none.
 */
export function ownerOf(context: Pick<HandlerContext, "values">): string {
  const who = principal(context);
  return who === undefined ? "[]" : JSON.stringify([who.provider, who.issuer ?? "", who.id]);
}

/** The id of the principal of an owner; empty for anonymous callers and the configuration. */
export function principalIdOf(owner: string): string {
  if (!owner.startsWith("[")) return "";
  const parts: unknown = JSON.parse(owner);
  return Array.isArray(parts) ? String(parts[2] ?? "") : "";
}
