import type { DescMethod, JsonValue } from "@bufbuild/protobuf";
import { Code, createContextKey, type ContextKey, type HandlerContext } from "@connectrpc/connect";
import { refusal } from "../admission/refusal.ts";
import { rpcName } from "../call/service.ts";

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

const givenKey: ContextKey<{ readonly who: Principal; readonly method: DescMethod } | undefined> =
  createContextKey<{ readonly who: Principal; readonly method: DescMethod } | undefined>(undefined, {
    description: "who makes the call, as its server says",
  });

/** A server says itself who makes a call, such as one of messages: its caller has no credentials to show. */
export function givePrincipal(
  { values, method }: Pick<HandlerContext, "values" | "method">,
  who: Principal,
): void {
  values.set(principalKey, who);
  values.set(givenKey, { who, method });
}

/** Who makes a call, where its server has said so; undefined for all others, and for calls of other rpcs in it. */
export function givenPrincipal({
  values,
  method,
}: Pick<HandlerContext, "values" | "method">): Principal | undefined {
  const given = values.get(givenKey);
  if (given === undefined || given.who !== values.get(principalKey)) return undefined;
  // The same rpc has another descriptor object where its contract was loaded separately.
  return given.method === method || rpcName(given.method) === rpcName(method) ? given.who : undefined;
}

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
