import { SetupError } from "../../core/errors/setup-error.ts";
import { portOwner } from "../doctor/port-owner.ts";

/** The error of a port that is taken, with the process that has it where the system tells; other errors as they are. */
export async function explainPort(error: unknown): Promise<unknown> {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (!("code" in at) || at.code !== "EADDRINUSE" || !("port" in at) || typeof at.port !== "number")
      continue;
    const owner = await portOwner(at.port);
    const who = owner === undefined ? "" : `\nprocess ${owner.pid} (${owner.command}) listens there`;
    const message = error instanceof Error ? error.message : String(error);
    return new SetupError(`${message}${who}\nend it, or serve elsewhere: --http-port 0 picks a free one`, {
      cause: error,
    });
  }
  return error;
}
