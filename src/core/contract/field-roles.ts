import { type DescField, getOption, hasOption } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";
import { field_behavior, FieldBehavior } from "../../../gen/google/api/field_behavior_pb.ts";
import { isMembers } from "../codec/json-members.ts";
import { foreignOption } from "./foreign-options.ts";

/** How a field takes part in requests and replies (AIP-203). */
export interface FieldRoles {
  /** A request must have it. */
  readonly required: boolean;
  /** The server sets it; in requests it counts for nothing. */
  readonly outputOnly: boolean;
  /** Replies never have it. */
  readonly inputOnly: boolean;
  /** It can be set once. */
  readonly immutable: boolean;
}

/** Those of most fields. */
const none: FieldRoles = Object.freeze({
  required: false,
  outputOnly: false,
  inputOnly: false,
  immutable: false,
});
const known = new WeakMap<DescField, FieldRoles>();

/** The roles of a field, by `google.api.field_behavior`, `(buf.validate.field).required` and proto2's `required`. */
export function rolesOf(field: DescField): FieldRoles {
  if (field.proto.options === undefined && field.presence !== Presence.LEGACY_REQUIRED) return none;
  let roles = known.get(field);
  if (roles === undefined) known.set(field, (roles = readRoles(field)));
  return roles;
}

function readRoles(field: DescField): FieldRoles {
  const behaviors = hasOption(field, field_behavior) ? getOption(field, field_behavior) : [];
  const is = (behavior: FieldBehavior): boolean => behaviors.includes(behavior);
  const rules = foreignOption(field, "buf.validate.field");
  const mustBe = isMembers(rules) && rules["required"] === true;
  return {
    required: is(FieldBehavior.REQUIRED) || mustBe || field.presence === Presence.LEGACY_REQUIRED,
    outputOnly: is(FieldBehavior.OUTPUT_ONLY),
    inputOnly: is(FieldBehavior.INPUT_ONLY),
    immutable: is(FieldBehavior.IMMUTABLE),
  };
}
