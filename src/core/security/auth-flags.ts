import { fileFlag, listFlag, optionalFlag, type Flag } from "../config/flag-kinds.ts";
import type { FlagValues } from "../config/flags.ts";
import { FlagError, SetupError } from "../errors/setup-error.ts";
import { accessLevels, type AccessLevel } from "../admission/access-level.ts";
import type { Security } from "./create-security.ts";
import type { SecurityLogger } from "./security-parts.ts";

/** Flags of programs that find out who calls. */
export const authFlags = {
  authIssuer: {
    ...optionalFlag(
      "URL",
      "Callers are known by JWTs of this issuer, which is the provider cli; with --auth-audience",
    ),
    needs: ["authAudience"],
  },
  authAudience: {
    ...listFlag("NAME", "An audience of which JWTs of --auth-issuer must have one"),
    needs: ["authIssuer"],
  },
  authJwks: {
    ...fileFlag("File of the keys of --auth-issuer, instead of those that it publishes"),
    needs: ["authIssuer"],
  },
  accessDefault: levelFlag(
    "Level of rpcs for which their contract says none; by default public, with --auth-issuer authenticated",
  ),
} as const;

/**
 * What guards the servers of a program, as its flags ask for it; undefined where they do not, and then nothing of it is
 * loaded. Its gates are the option `gates` of all servers; the program closes it at its end.
 *
 * @throws FlagError naming what cannot be used
 */
export async function flagSecurity(
  { authIssuer: issuer, authAudience, authJwks, accessDefault }: FlagValues<typeof authFlags>,
  logger: SecurityLogger,
): Promise<Security | undefined> {
  if (issuer === undefined && accessDefault === undefined) return undefined;
  const [{ createSecurity }, { jwt }] = await Promise.all([
    import("./create-security.ts"),
    import("./auth-schemes.ts"),
  ]);
  try {
    const audiences = authAudience;
    const auth = issuer === undefined ? {} : { cli: jwt({ issuer, audiences, jwksFile: authJwks }) };
    return await createSecurity({ auth, access: { default: accessDefault }, logger });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new FlagError(`--auth-issuer: ${error.message}`, { cause: error });
  }
}

function levelFlag(help: string): Flag<AccessLevel | undefined> {
  return {
    ...optionalFlag(accessLevels.join("|"), help),
    default: undefined,
    read(text) {
      const level = accessLevels.find((known) => known === text);
      if (level === undefined) throw new Error(`must be one of ${accessLevels.join(", ")}`);
      return level;
    },
  };
}
