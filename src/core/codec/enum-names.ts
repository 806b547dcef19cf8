import type { DescEnum } from "@bufbuild/protobuf";

/** Whether an enum is `google.protobuf.NullValue`, whose values are `null` in JSON. */
export function isNullValue(desc: DescEnum | undefined): boolean {
  return desc?.typeName === "google.protobuf.NullValue";
}

/** The numbers of an enum by every name that its values have; proto names win over custom JSON names. */
export function enumNumbers(desc: DescEnum): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  for (const value of desc.values) numbers.set(value.jsonName, value.number);
  for (const value of desc.values) numbers.set(value.name, value.number);
  return numbers;
}

/**
 * The JSON texts of an enum's values by their numbers; the first of several names of one number counts. Numbers that
 * are none of these are their own text, except that all of `google.protobuf.NullValue` are `null`.
 */
export function enumTexts(desc: DescEnum, format: "name" | "number"): ReadonlyMap<number, string> {
  const texts = new Map<number, string>();
  for (const { number, jsonName } of desc.values) {
    if (texts.has(number)) continue;
    texts.set(
      number,
      isNullValue(desc) ? "null" : format === "number" ? String(number) : JSON.stringify(jsonName),
    );
  }
  return texts;
}
