import { eitherFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import type { Face } from "../faces/face.ts";

/** Flags of the console, a part of those of faces. */
export const docsFlags = {
  docs: eitherFlag(
    "on where --http-host is a loopback address",
    "Serve a console for browsers at /docs: documentation, calls, load",
  ),
} as const;

/** The face that the flags ask for. @param isLocal whether the server listens on a loopback address */
export async function docsFace(
  flags: FlagValues<typeof docsFlags>,
  isLocal: boolean,
): Promise<Face | undefined> {
  if (!(flags.docs ?? isLocal)) return undefined;
  const { docs } = await import("../faces/docs/docs.ts");
  return docs();
}
