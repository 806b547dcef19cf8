import type { DescField, DescMethod } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { hasOwnJsonForm } from "../../../core/codec/field-shape.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import type { InputMember, InputValues } from "./input-values.ts";

/** The field of a request of which a mask says what counts; undefined for none. */
export function patchedOf(method: DescMethod, routes: readonly Route[]): DescField | undefined {
  if (maskOf(method) === undefined) return undefined;
  const isPlain = (field: DescField): boolean =>
    field.fieldKind === "message" && !hasOwnJsonForm(field.message);
  for (const { bodyField } of routes) {
    const field =
      bodyField !== undefined && bodyField !== "*" && bodyField.length === 1 ? bodyField[0] : undefined;
    if (field !== undefined && isPlain(field)) return field;
  }
  const [first, ...more] = method.input.fields.filter(isPlain);
  return more.length === 0 ? first : undefined;
}

/** The mask of an update. */
export function maskOf({ input }: DescMethod): DescField | undefined {
  const [mask, ...more] = input.fields.filter((field) => isMask(field) && field.name !== "read_mask");
  return more.length === 0 ? mask : undefined;
}

/** Whether a field is one `FieldMask`. */
export function isMask(field: DescField): boolean {
  return field.fieldKind === "message" && field.message.typeName === FieldMaskSchema.typeName;
}

/** The paths of the members that values give, as a mask names them: null clears, an empty object is a path of its own. */
export function* givenPaths(
  values: InputValues,
  members: readonly InputMember[],
  left: ReadonlySet<DescField>,
  at = "",
): Generator<string> {
  for (const { name, member, below } of members) {
    const value = values[name];
    if (value === undefined || (member.kind === "field" && left.has(member))) continue;
    const inside = typeof value === "object" && value !== null ? (value as InputValues) : undefined;
    if (member.kind === "oneof") {
      if (inside !== undefined && below !== undefined) yield* givenPaths(inside, below(), left, at);
      continue;
    }
    const path = at + member.name;
    if (inside === undefined || below === undefined || Object.keys(inside).length === 0) yield path;
    else yield* givenPaths(inside, below(), left, `${path}.`);
  }
}
