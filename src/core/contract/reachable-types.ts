import type { DescService } from "@bufbuild/protobuf";
import type { DescType } from "./namer.ts";

/** The messages and enums that calls of services can have in them, each once, in the order in which they are met. */
export function typesOf(services: readonly DescService[]): readonly DescType[] {
  const seen = new Set<DescType>();
  // Not by a recursion: types may contain one another thousands deep.
  const open: DescType[] = services
    .flatMap(({ methods }) => methods.flatMap(({ input, output }): DescType[] => [input, output]))
    .toReversed();
  for (let type = open.pop(); type !== undefined; type = open.pop()) {
    if (seen.has(type)) continue;
    seen.add(type);
    if (type.kind === "enum") continue;
    for (const { enum: values, message } of type.fields.toReversed()) {
      const inner = values ?? message;
      if (inner !== undefined) open.push(inner);
    }
  }
  return [...seen];
}
