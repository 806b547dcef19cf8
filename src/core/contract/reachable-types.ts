import type { DescMessage, DescService } from "@bufbuild/protobuf";
import type { DescType } from "./namer.ts";

/** The messages and enums that calls of services can have in them, each once, in the order in which they are met. */
export function typesOf(services: readonly DescService[]): readonly DescType[] {
  const seen = new Set<DescType>();
  const walk = (message: DescMessage): void => {
    if (seen.has(message)) return;
    seen.add(message);
    for (const field of message.fields) {
      if (field.enum !== undefined) seen.add(field.enum);
      if (field.message !== undefined) walk(field.message);
    }
  };
  for (const { methods } of services) {
    for (const { input, output } of methods) {
      walk(input);
      walk(output);
    }
  }
  return [...seen];
}
