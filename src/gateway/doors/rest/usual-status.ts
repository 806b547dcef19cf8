import type { DescMethod } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { SetupError } from "../../../core/errors/setup-error.ts";

/** Number of `(ts_ms.v1.faces)`, and of its field `http_status`. */
const faces = 61_140;
const httpStatus = 1;

/**
 * HTTP status of success of an rpc: `http_status` of its option `(ts_ms.v1.faces)`, else 200. The option is read without its
 * generated code, which only faces load.
 *
 * @throws SetupError naming the rpc for a status that is none of success
 */
export function usualStatusOf({ proto, parent, name }: DescMethod): number {
  let status = 0;
  for (const { no, data } of proto.options?.$unknown ?? []) {
    if (no === faces) status = statusIn(data) ?? status;
  }
  if (status === 0) return 200;
  if (status >= 200 && status <= 299) return status;
  throw new SetupError(
    `${parent.typeName}/${name}: http_status of (ts_ms.v1.faces): expected 200 to 299, found ${status}`,
  );
}

/** @param data an option as it is on the wire: its length, then its fields */
function statusIn(data: Uint8Array): number | undefined {
  const reader = new BinaryReader(data);
  const end = reader.uint32() + reader.pos;
  let found: number | undefined;
  while (reader.pos < end) {
    const [no, type] = reader.tag();
    if (no === httpStatus && type === WireType.Varint) found = reader.uint32();
    else reader.skip(type, no);
  }
  return found;
}
