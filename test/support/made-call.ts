import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import type { CallHead, DoorName } from "../../src/core/admission/call-head.ts";
import { CallContext } from "../../src/core/call/context.ts";
import { principalKey, type Principal } from "../../src/core/security/principal.ts";

/** What a test says of a call. */
export interface MadeCall {
  readonly method?: CallHead["method"];
  readonly door?: DoorName;
  readonly ip?: string;
  readonly route?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly principal?: Partial<Principal> & Pick<Principal, "id">;
}

/** The head of a call, as a door would pass it to gates. Its context has to be ended. */
export function madeCall({
  method = EchoService.method.echo,
  door = "rest",
  ip = "192.0.2.1",
  route,
  headers = {},
  principal,
}: MadeCall = {}): CallHead & { readonly context: CallContext } {
  const context = new CallContext({ method, protocolName: door, requestHeader: () => new Headers(headers) });
  if (principal !== undefined) context.values.set(principalKey, madePrincipal(principal));
  const target = context.url;
  return {
    door,
    method,
    context,
    client: { ip, trusted: false },
    peer: undefined,
    httpMethod: "POST",
    target,
    route,
    scheme: "http",
    authority: "localhost",
    bodyBytes: undefined,
    header: (name) => headers[name],
    headerValues: (name) => (headers[name] === undefined ? [] : [headers[name]]),
  };
}

function madePrincipal(some: Partial<Principal> & Pick<Principal, "id">): Principal {
  return {
    provider: "corp",
    kind: "custom",
    issuer: undefined,
    scopes: new Set(),
    roles: new Set(),
    claims: {},
    expiresAtMs: undefined,
    ...some,
  };
}
