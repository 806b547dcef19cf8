import type { DescEnum } from "@bufbuild/protobuf";
import { enumTexts, isNullValue } from "./enum-names.ts";
import { bareWriter, unwritable, type ValueWriter } from "./write-scalars.ts";

/** The writer of one enum: names, or numbers for values that the enum does not have and where the format says so. */
export function enumWriter(desc: DescEnum, format: "name" | "number", place: string): ValueWriter {
  const texts: ReadonlyMap<unknown, string> = enumTexts(desc, format);
  const isNull = isNullValue(desc);
  return bareWriter((value) => {
    const text = texts.get(value);
    if (text !== undefined) return text;
    if (typeof value !== "number" || (value | 0) !== value) {
      throw unwritable(place, `${String(value)} is no number of ${desc.typeName}`);
    }
    return isNull ? "null" : `${value}`;
  });
}
