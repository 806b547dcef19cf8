import type { DescMessage } from "@bufbuild/protobuf";
import { AnySchema, StructSchema } from "@bufbuild/protobuf/wkt";
import { hasOwnJsonForm } from "../../../core/codec/field-shape.ts";

/** Members of arguments and results that wrap what is no object. */
export const wrapper = { value: "value", messages: "messages", more: "more" } as const;

/** Whether messages of a type are objects in JSON, so that they can be arguments and results as they are. */
export function isObjectMessage(desc: DescMessage): boolean {
  const { typeName } = desc;
  return !hasOwnJsonForm(desc) || typeName === StructSchema.typeName || typeName === AnySchema.typeName;
}
