import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import type { DescMethod } from "@bufbuild/protobuf";
import { annotatedBindings } from "../http-rule/http-rule.ts";

/** What may be sent twice: `NO_SIDE_EFFECTS` and `IDEMPOTENT` rpcs may. */
export type Idempotency = "UNKNOWN" | "NO_SIDE_EFFECTS" | "IDEMPOTENT";

const byHttpMethod: Readonly<Record<string, Idempotency>> = {
  GET: "NO_SIDE_EFFECTS",
  PUT: "IDEMPOTENT",
  DELETE: "IDEMPOTENT",
};

/** That of an rpc by its `idempotency_level`, else by its first HTTP binding. */
export function idempotencyOf(method: DescMethod): Idempotency {
  if (method.idempotency === Level.NO_SIDE_EFFECTS) return "NO_SIDE_EFFECTS";
  if (method.idempotency === Level.IDEMPOTENT) return "IDEMPOTENT";
  // A rule that cannot be read is refused where routes are made of it; here it says nothing.
  const [first] = annotatedBindings(method, (read) => {
    try {
      return read();
    } catch {
      return undefined;
    }
  });
  return byHttpMethod[first?.httpMethod ?? ""] ?? "UNKNOWN";
}
