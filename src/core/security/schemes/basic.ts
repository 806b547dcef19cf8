import { checkOptions, checkRequired, show } from "../../config/check-options.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { AuthProviderSource } from "../auth-provider.ts";
import { openBasic, type BasicOptions } from "../basic.ts";

/**
 * Names with passwords (RFC 7617), of which a file has the scrypt hashes.
 *
 * @throws SetupError naming an option that is missing or wrong
 */
export function basic(options: BasicOptions): AuthProviderSource {
  checkOptions<BasicOptions>("basic", options, { usersFile: undefined, realm: undefined });
  const { usersFile, realm } = options;
  checkRequired("basic", "usersFile", usersFile, typeof usersFile === "string" && usersFile !== "", "a path");
  if (realm !== undefined && !/^[ !#-[\]-~]+$/.test(realm)) {
    throw new SetupError(`basic: the option realm must be ASCII without quotes, not ${show(realm)}`);
  }
  return { kind: "basic", options: { usersFile, realm }, open: (name, kit) => openBasic(options, name, kit) };
}
