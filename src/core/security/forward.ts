import type { Interceptor } from "@connectrpc/connect";
import { metadataOnly } from "../metadata/metadata-only.ts";
import type { AssertionSigner } from "./assertion.ts";
import { principalKey } from "./principal.ts";

/**
 * What servers behind this one get in place of the client's `authorization`: the credential as it came, an assertion of
 * this server about the principal, or nothing.
 */
export type ForwardMode = "token" | "assertion" | "none";

/**
 * The interceptor of calls to a server that replaces `authorization`. A credential that was not verified, as on public
 * rpcs, is removed.
 *
 * @param signer undefined where nothing is sent in its place
 * @param audience the server
 */
export function forwardInterceptor(signer: AssertionSigner | undefined, audience: string): Interceptor {
  return metadataOnly((next) => (request) => {
    const who = signer === undefined ? undefined : request.contextValues.get(principalKey);
    if (signer === undefined || who === undefined) request.header.delete("authorization");
    else request.header.set("authorization", `Bearer ${signer.assertionOf(who, audience)}`);
    return next(request);
  });
}
