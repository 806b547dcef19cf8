import type { Registry } from "@bufbuild/protobuf";
import { codeName } from "../../core/errors/code-name.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { detailsToJson } from "../../gateway/http/error-body.ts";
import { cureOf } from "../contracts/explain-target.ts";
import type { CallTarget } from "./call-target.ts";
import { colourJson } from "./colour-json.ts";

/** Added to the code of gRPC, as grpcurl does: the exit code of a call that fails. */
const failedCalls = 64;

/**
 * The error of a call; undefined for an error of another kind, such as requests that cannot be read.
 *
 * @param isLate whether `--max-time` is over
 */
export function failureOf(error: unknown, isLate: boolean): ConnectError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof SetupError) return undefined;
  if (isLate)
    return new ConnectError("--max-time is over", Code.DeadlineExceeded, undefined, undefined, error);
  return error instanceof ConnectError ? error : undefined;
}

/** Prints an error with its details, and what to type instead where that is known. @returns the exit code */
export function printFailure(
  error: ConnectError,
  to: CallTarget,
  isTls: boolean,
  registry?: Registry,
): number {
  const lines = [`${codeName(error.code)}: ${error.rawMessage}`];
  for (const detail of detailsToJson(error, registry)) {
    lines.push(colourJson(JSON.stringify(detail, undefined, 2), process.stderr));
  }
  const cure = error.code === Code.Unavailable ? cureOf(error, to.name, isTls) : undefined;
  if (cure !== undefined) lines.push(cure);
  process.stderr.write(`${lines.join("\n")}\n`);
  return failedCalls + Math.min(error.code, 63); // Codes of a service's own can be larger than exit codes.
}
