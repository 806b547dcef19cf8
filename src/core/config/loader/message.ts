import { create, type Message } from "@bufbuild/protobuf";
import type { Bound, BoundSection } from "./bound.ts";
import type { KeyField, KeySection } from "./key-tree.ts";

/** The message that a complete section means. */
export function toMessage(bound: BoundSection, section: KeySection): Message {
  const init: Record<string, unknown> = {};
  for (const key of section.fields) {
    const value = bound.keys.get(key.name);
    if (value !== undefined) init[key.field.localName] = valueOf(value, key);
  }
  return create(section.desc, init); // The keys are fields, and their values are of the fields' types.
}

function valueOf(bound: Bound, key: KeyField): unknown {
  switch (bound.kind) {
    case "value":
      return bound.value;
    case "section":
      return key.section === undefined ? undefined : toMessage(bound, key.section);
    case "list":
      return bound.items.map((item) => valueOf(item, key));
    case "map":
      return Object.fromEntries(
        [...bound.entries].flatMap(([name, entry]) =>
          entry.kind === "reset" ? [] : [[name, valueOf(entry, key)] as const],
        ),
      );
    case "reset":
      return undefined;
  }
}
