import { CodeSchema } from "../../../gen/google/rpc/code_pb.ts";
import type { ConnectError } from "../errors.ts";

const names: ReadonlyMap<number, string> = new Map(
  CodeSchema.values.map(({ number, name }) => [number, name]),
);

/** The name of an outcome as `google.rpc.Code` spells it, `OK` for no error. */
export function codeName(error: ConnectError | undefined): string {
  return codeNameOf(error?.code ?? 0);
}

/** The name of a gRPC status number, for example `NOT_FOUND` for 5; `UNKNOWN` for numbers without a meaning. */
export function codeNameOf(code: number): string {
  return names.get(code) ?? "UNKNOWN";
}
