import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { type FieldNode, type GraphQLResolveInfo, Kind, type SelectionSetNode } from "graphql";
import { hasOwnJsonForm } from "../../../core/codec/field-shape.ts";
import { fieldName, lowerCamel, oneofName } from "./names.ts";

/** What an operation selects of a root field. */
export type Selection = Pick<GraphQLResolveInfo, "fieldNodes" | "fragments">;

/** A selection and the message that it is of. */
interface Selected {
  readonly set: SelectionSetNode;
  readonly message: DescMessage;
  readonly at: string;
}

/**
 * The paths of what an operation selects of a reply, for the `read_mask` of its request (AIP-157). In a page of a list they
 * are those of its items.
 */
export function selectedPaths(info: Selection, reply: DescMessage): readonly string[] {
  const list = pageField(reply);
  const paths = new Set<string>();
  for (const { selectionSet } of info.fieldNodes) {
    if (selectionSet === undefined) continue;
    if (list === undefined) collect({ set: selectionSet, message: reply, at: "" }, info, paths);
    else {
      const items = list.message;
      for (const node of fieldsIn(selectionSet, info, new Set())) {
        if (node.name.value !== fieldName(list) || node.selectionSet === undefined || items === undefined)
          continue;
        collect({ set: node.selectionSet, message: items, at: "" }, info, paths);
      }
    }
  }
  return [...paths];
}

/** The field with the items of a page (AIP-158). */
function pageField({ fields }: DescMessage): DescField | undefined {
  if (!fields.some(({ name }) => name === "next_page_token")) return undefined;
  const [list, ...more] = fields.filter((field) => field.fieldKind === "list" && field.message !== undefined);
  return more.length === 0 ? list : undefined;
}

function collect({ set, message, at }: Selected, info: Selection, paths: Set<string>): void {
  for (const { name, selectionSet } of fieldsIn(set, info, new Set())) {
    const field = message.fields.find((one) => fieldName(one) === name.value);
    const oneof =
      field === undefined ? message.oneofs.find((one) => oneofName(one) === name.value) : undefined;
    if (oneof !== undefined) for (const one of oneof.fields) paths.add(at + one.name);
    else if (field === undefined) for (const one of referring(message, name.value)) paths.add(at + one.name);
    else if (field.fieldKind === "message" && selectionSet !== undefined && !hasOwnJsonForm(field.message)) {
      collect({ set: selectionSet, message: field.message, at: `${at}${field.name}.` }, info, paths);
    } else paths.add(at + field.name);
  }
}

/** The fields that a field without a field of its own may resolve. */
function referring(message: DescMessage, name: string): readonly DescField[] {
  if (name === "__typename") return [];
  const likely = message.fields.filter(
    (field) =>
      `${lowerCamel(field.name)}Resource` === name ||
      lowerCamel(field.name.replace(/_(?:name|id)s?$/, "")) === name,
  );
  // Under a name of the contract's own it may be any.
  return likely.length > 0 ? likely : message.fields.filter(({ scalar }) => scalar !== undefined);
}

/** The fields of a selection, those of fragments too. */
function* fieldsIn(set: SelectionSetNode, info: Selection, seen: Set<string>): Generator<FieldNode> {
  for (const node of set.selections) {
    if (node.kind === Kind.FIELD) yield node;
    else if (node.kind === Kind.INLINE_FRAGMENT) yield* fieldsIn(node.selectionSet, info, seen);
    else if (!seen.has(node.name.value)) {
      seen.add(node.name.value);
      const fragment = info.fragments[node.name.value];
      if (fragment !== undefined) yield* fieldsIn(fragment.selectionSet, info, seen);
    }
  }
}
