import type { JsonValue } from "@bufbuild/protobuf";
import { Code, createContextKey, type ContextKey, type HandlerContext } from "@connectrpc/connect";
import { refusal } from "../admission/refusal.ts";

/** How a client has shown who it is. */
export type PrincipalKind = "jwt" | "api-key" | "introspection" | "basic" | "mtls" | "session" | "custom";

/** Who makes a call, as an authentication provider has found out. */
export interface Principal {
  /** Unique among the principals of its provider. */
  readonly id: string;
  /** Name of the provider in the configuration. */
  readonly provider: string;
  readonly kind: PrincipalKind;
  /** The issuer of the token; undefined for other kinds. */
  readonly issuer: string | undefined;
  readonly scopes: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
  /** Everything that the credential says of its owner. */
  readonly claims: Readonly<Record<string, JsonValue>>;
  /** When the credential ends, in milliseconds since 1970; undefined for never. */
  readonly expiresAtMs: number | undefined;
}

/** Context value that holds who makes a call. */
export const principalKey: ContextKey<Principal | undefined> = createContextKey<Principal | undefined>(
  undefined,
  { description: "who makes the call" },
);

/** Who makes the call of a handler; undefined for an anonymous client. */
export function principal(context: Pick<HandlerContext, "values">): Principal | undefined {
  return context.values.get(principalKey);
}

/**
 * Who makes the call of a handler.
 *
 * @throws ConnectError UNAUTHENTICATED for an anonymous client
 */
export function requirePrincipal(context: Pick<HandlerContext, "values">): Principal {
  const found = principal(context);
  if (found !== undefined) return found;
  throw refusal({
    kind: "unauthenticated",
    code: Code.Unauthenticated,
    reason: "CREDENTIALS_MISSING",
    message: "this call needs credentials",
  });
}
