import { CodeSchema } from "../../../gen/google/rpc/code_pb.ts";

const names: ReadonlyMap<number, string> = new Map(
  CodeSchema.values.map(({ number, name }) => [number, name]),
);

/**
 * The name of a gRPC status number as google/rpc/code.proto spells it: `OK` for 0, `NOT_FOUND` for 5; `CODE_2009` for
 * a service's own number 2009.
 */
export function codeName(code: number): string {
  return names.get(code) ?? `CODE_${code}`;
}
