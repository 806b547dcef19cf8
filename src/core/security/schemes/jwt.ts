import type { AuthProviderSource } from "../auth-provider.ts";
import { openJwt } from "../jwt/jwt-provider.ts";
import { checkJwtOptions, type JwtOptions } from "../jwt/jwt-options.ts";

/**
 * Bearer tokens that are JWTs of one issuer (RFC 7519, 8725, 9068). They are verified by `jose`, an optional peer.
 *
 * @throws SetupError naming an option that is missing or wrong
 */
export function jwt(options: JwtOptions): AuthProviderSource {
  const checked = checkJwtOptions(options);
  return { kind: "jwt", options: checked, open: (name, kit) => openJwt(checked, name, kit) };
}
