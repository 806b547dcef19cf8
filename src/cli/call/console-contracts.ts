import { decodeFileSet, linkFiles } from "../../core/schema/file-set.ts";
import { type Schema, toSchema } from "../../core/schema/schema.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { cureOfUnreached } from "../contracts/explain-target.ts";
import { targetTls } from "../contracts/target-flags.ts";
import type { CallFlagValues } from "./call-flags.ts";
import type { CallTarget } from "./call-target.ts";
import { openHttpClient } from "./http-client.ts";

/** Where servers with the console have their contracts, at its default path. */
const path = "/docs/contract.binpb";

/**
 * The contracts of the console of an HTTP target; undefined where it serves none.
 *
 * @throws SetupError that says what to do where nothing answers there
 */
export async function consoleContracts(
  { name }: CallTarget,
  flags: CallFlagValues,
  only: readonly string[],
  signal: AbortSignal,
): Promise<Schema | undefined> {
  const client = openHttpClient(targetTls(flags), flags.authority);
  try {
    const response = await client.fetch(name + path, { signal }).catch((error: unknown) => {
      const cure = cureOfUnreached(error, name);
      if (cure !== undefined)
        throw new SetupError(`there is no connection to ${name}\n${cure}`, { cause: error });
      return undefined;
    });
    if (response?.ok !== true) return undefined;
    const bytes = new Uint8Array(await response.arrayBuffer());
    return toSchema(linkFiles(decodeFileSet(bytes, name + path), name + path), only);
  } finally {
    client.close();
  }
}
