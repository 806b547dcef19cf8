import { eitherFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import type { Face } from "../faces/face.ts";

/** Flags of the OpenAPI document, a part of those of faces. */
export const openapiFlags = {
  openapi: eitherFlag(
    "on where --http-host is a loopback address",
    "Serve an OpenAPI document of the rpcs at /openapi.json",
  ),
} as const;

/** The face that the flags ask for. @param isLocal whether the server listens on a loopback address */
export async function openapiFace(
  flags: FlagValues<typeof openapiFlags>,
  isLocal: boolean,
): Promise<Face | undefined> {
  if (!(flags.openapi ?? isLocal)) return undefined;
  const { openapi } = await import("../faces/openapi/openapi.ts");
  return openapi();
}
