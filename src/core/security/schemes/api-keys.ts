import { checkOptions, checkRequired, show } from "../../config/check-options.ts";
import { SetupError } from "../../errors/setup-error.ts";
import { openApiKeys, type ApiKeyOptions } from "../api-keys.ts";
import type { AuthProviderSource } from "../auth-provider.ts";

/** Defaults of `ApiKeyOptions`. */
export const apiKeyDefaults = Object.freeze({ header: "x-api-key" });

/** Headers that mean something else. */
const taken = /^(?:authorization|proxy-authorization|cookie|host|te|grpc-.*|content-.*|:.*)$/;

/**
 * Keys in a header, of which a file has the hashes.
 *
 * @throws SetupError naming an option that is missing or wrong
 */
export function apiKeys(options: ApiKeyOptions): AuthProviderSource {
  checkOptions<ApiKeyOptions>("apiKeys", options, { ...apiKeyDefaults, keysFile: undefined });
  const { header = apiKeyDefaults.header, keysFile } = options;
  checkRequired("apiKeys", "keysFile", keysFile, typeof keysFile === "string" && keysFile !== "", "a path");
  const name = String(header).toLowerCase();
  if (!/^[!#$%&'*+.^`|~\w-]+$/.test(name) || taken.test(name)) {
    throw new SetupError(
      `apiKeys: the option header must be the name of a header of its own, not ${show(header)}`,
    );
  }
  return {
    kind: "api-key",
    options: { header: name, keysFile },
    open: (provider, kit) => openApiKeys(name, keysFile, provider, kit),
  };
}
