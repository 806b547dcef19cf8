import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { BadResource } from "./bad-resource.ts";

/** The message of an `Any`; undefined if it is of another type. @throws BadResource if it cannot be read */
export function unpack<D extends DescMessage>(any: Any, schema: D): MessageShape<D> | undefined {
  if (any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) !== schema.typeName) return undefined;
  try {
    return fromBinary(schema, any.value);
  } catch {
    throw new BadResource(`a ${schema.typeName} cannot be read`);
  }
}
