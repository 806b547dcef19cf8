import type * as Jose from "jose";
import { SetupError } from "../../errors/setup-error.ts";

let loaded: Promise<typeof Jose> | undefined;

/** `jose`, loaded at its first use. @throws SetupError if it is not installed */
export function loadJose(): Promise<typeof Jose> {
  return (loaded ??= import("jose").catch((error: unknown) => {
    loaded = undefined;
    const message = "tokens and envelopes need the package jose, which is not installed: npm install jose@6";
    throw new SetupError(message, { cause: error });
  }));
}
