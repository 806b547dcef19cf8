import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";

/** What a client may expect of calls of an rpc. */
export interface Traits {
  /** Calls change nothing. */
  readonly safe: boolean;
  /** Several equal calls have the effect of one. */
  readonly idempotent: boolean;
  /** Calls remove or replace what is there; undefined where the contract does not say. */
  readonly destructive: boolean | undefined;
}

/**
 * The traits of an rpc, by its `idempotency_level` and, where that says nothing, by the HTTP method of its first binding.
 *
 * @param httpMethod in capitals; undefined for an rpc without a binding of its own
 */
export function traitsOf({ idempotency }: Pick<DescMethod, "idempotency">, httpMethod?: string): Traits {
  const unsaid = idempotency === Level.IDEMPOTENCY_UNKNOWN;
  const safe = idempotency === Level.NO_SIDE_EFFECTS || (unsaid && httpMethod === "GET");
  const idempotent =
    safe || idempotency === Level.IDEMPOTENT || httpMethod === "PUT" || httpMethod === "DELETE";
  const replaces = httpMethod === "DELETE" || httpMethod === "PUT" || httpMethod === "PATCH";
  return { safe, idempotent, destructive: safe ? false : replaces ? true : undefined };
}
