import type { Bound, BoundSection } from "./bound.ts";
import type { KeyField, KeySection } from "./key-tree.ts";

/** The message that a complete section means, as `create` of `@bufbuild/protobuf` makes it. */
export function toMessage(bound: BoundSection, section: KeySection): object {
  const message: Record<string, unknown> = { $typeName: `ts_ms.config.v1.${section.message}` };
  for (const key of section.fields) {
    const value = bound.keys.get(key.name);
    const read = value === undefined ? undefined : valueOf(value, key);
    if (read !== undefined) message[key.localName] = read;
    else if (key.shape !== "single") message[key.localName] = key.shape === "list" ? [] : {};
  }
  return message;
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
