import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "./errors.ts";

/** The error of a call whose request is larger than its policy allows: the caller is at fault. */
export function requestTooLarge(
  { parent, name }: DescMethod,
  bytes: number,
  mostBytes: number,
): ConnectError {
  const text = `a request of ${parent.typeName}/${name} has ${bytes} bytes, allowed are ${mostBytes}`;
  return new ConnectError(text, Code.ResourceExhausted);
}
