import { createHash } from "node:crypto";
import type { HandlerContext } from "@connectrpc/connect";
import { principal } from "../core/security/principal.ts";

/**
 * The id of the message of a call with an `idempotency-key`; undefined without one. The same rpc, principal and key give
 * the same id; that of another principal cannot be met.
 */
export function sentId(
  rpc: string,
  context: Pick<HandlerContext, "requestHeader" | "values">,
): string | undefined {
  const key = context.requestHeader.get("idempotency-key");
  if (key === null || key === "") return undefined;
  const caller = principal(context);
  const who = caller === undefined ? [] : [caller.provider, caller.issuer ?? "", caller.id];
  return createHash("sha256")
    .update(JSON.stringify([rpc, who, key]))
    .digest("base64url");
}
