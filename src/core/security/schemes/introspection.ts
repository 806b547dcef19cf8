import type { AuthProviderSource } from "../auth-provider.ts";
import {
  checkIntrospectionOptions,
  IntrospectionProvider,
  type IntrospectionOptions,
} from "../introspection.ts";

/**
 * Bearer tokens about which their issuer is asked (RFC 7662).
 *
 * @throws SetupError naming an option that is missing or wrong
 */
export function introspection(options: IntrospectionOptions): AuthProviderSource {
  const checked = checkIntrospectionOptions(options);
  return {
    kind: "introspection",
    options: checked,
    open: (name, kit) => Promise.resolve(new IntrospectionProvider(checked, name, kit)),
  };
}
