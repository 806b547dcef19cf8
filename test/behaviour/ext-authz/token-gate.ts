import { Code } from "@connectrpc/connect";
import { refusal } from "../../../src/core/admission/refusal.ts";
import type { Gate } from "../../../src/core/admission/gate.ts";
import { principalKey } from "../../../src/core/security/principal.ts";

/** Lets calls with the token `good` pass; `Repeat` needs none. */
export const tokenGate: Gate = {
  name: "token",
  admit(call) {
    if (call.method.name === "Repeat") return;
    if (call.header("authorization") !== "Bearer good") {
      throw refusal({
        kind: "unauthenticated",
        code: Code.Unauthenticated,
        reason: "CREDENTIALS_MISSING",
        message: "this call needs a token",
        headers: { "www-authenticate": 'Bearer realm="test"' },
      });
    }
    call.context.requestHeader.delete("authorization");
    call.context.responseHeader.set("x-decided-by", call.client.ip);
    call.context.values.set(principalKey, {
      id: "jürgen",
      provider: "test",
      kind: "custom",
      issuer: undefined,
      scopes: new Set(["a", "b"]),
      roles: new Set(["admin"]),
      claims: {},
      expiresAtMs: undefined,
    });
  },
};
