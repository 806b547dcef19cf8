import { hash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import type { HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";

/**
 * Lets bearers of the token in a file pass.
 *
 * @throws SetupError for a file that cannot be read, or has no token
 */
export function bearersOf(file: string): (context: HandlerContext) => void {
  const expected = digest(`Bearer ${tokenOf(file)}`);
  return ({ requestHeader }) => {
    const given = requestHeader.get("authorization");
    if (given === null) throw new ConnectError("a bearer token is needed", Code.Unauthenticated);
    if (!timingSafeEqual(digest(given), expected))
      throw new ConnectError("the bearer token is another one", Code.PermissionDenied);
  };
}

function tokenOf(file: string): string {
  let token: string;
  try {
    token = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new SetupError(`the token cannot be read: ${(cause as Error).message}`, { cause }); // Of node:fs.
  }
  if (token === "") throw new SetupError(`${file} has no token`);
  return token;
}

/** Of one length, for a comparison that takes the same time for all texts. */
function digest(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
