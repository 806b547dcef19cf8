import type { DescMessage } from "@bufbuild/protobuf";

/** The number of the extensions `(buf.validate.message)`, `(buf.validate.field)` and `(buf.validate.oneof)`. */
const extensionNumber = 1159;

/** What may have options with extensions in them; protobuf-es keeps these undecoded. */
interface WithOptions {
  readonly proto: {
    readonly options?: { readonly $unknown?: readonly { readonly no: number }[] | undefined } | undefined;
  };
}

/** Whether a message type or one of the types in it has rules. Needs no package to tell. */
export function hasRules(message: DescMessage): boolean {
  return messagesIn(message).some(hasOwnRules);
}

/** A message type and all types in its fields, each once; those in a type come before it. */
export function messagesIn(message: DescMessage): readonly DescMessage[] {
  const seen = new Set<DescMessage>();
  const found: DescMessage[] = [];
  const visit = (one: DescMessage): void => {
    if (seen.has(one)) return;
    seen.add(one);
    for (const { message: inner } of one.fields) if (inner !== undefined) visit(inner);
    found.push(one);
  };
  visit(message);
  return found;
}

/** Whether the type itself has rules: on it, on a field or on a oneof. */
function hasOwnRules(message: DescMessage): boolean {
  return isMarked(message) || message.fields.some(isMarked) || message.oneofs.some(isMarked);
}

function isMarked({ proto }: WithOptions): boolean {
  return proto.options?.$unknown?.some(({ no }) => no === extensionNumber) ?? false;
}
