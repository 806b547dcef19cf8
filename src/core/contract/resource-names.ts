import { type DescField, type DescFile, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { resource, resource_definition, resource_reference } from "../../../gen/google/api/resource_pb.ts";

/** The first pattern of each type of resources that a file knows. */
const patternsOf = new WeakMap<DescFile, ReadonlyMap<string, string>>();

/**
 * The pattern of the names that a field has: of the resource that its message is (AIP-123), or of the one that it refers
 * to (AIP-4231), such as `shelves/{shelf}/books/{book}`; undefined for a field without, or with any name.
 */
export function namePattern(field: DescField): string | undefined {
  const own = hasOption(field.parent, resource) ? getOption(field.parent, resource) : undefined;
  if (own !== undefined && field.name === nameFieldOf(field.parent)) return usable(own.pattern[0]);
  if (!hasOption(field, resource_reference)) return undefined;
  const { type, childType } = getOption(field, resource_reference);
  const patterns = knownPatterns(field.parent.file);
  if (type !== "") return usable(patterns.get(type));
  const child = usable(patterns.get(childType));
  return child === undefined ? undefined : usable(parentOf(child));
}

/** The type of resource that a field names (AIP-4231), such as `library.example.com/Book`; undefined for none. */
export function resourceOf(field: DescField): string | undefined {
  if (!hasOption(field, resource_reference)) return undefined;
  const { type } = getOption(field, resource_reference);
  return type === "" || type === "*" ? undefined : type;
}

/** The name of the field that holds the name of a resource; undefined for messages that are none. */
export function nameFieldOf(message: DescMessage): string | undefined {
  if (!hasOption(message, resource)) return undefined;
  const { nameField } = getOption(message, resource);
  return nameField === "" ? "name" : nameField;
}

/** A name of a pattern: `shelves/1/books/2`, where `turn` is 1. */
export function nameOfPattern(pattern: string, turn: number): string {
  const last = pattern.lastIndexOf("{");
  return pattern.replaceAll(/\{[^}]*\}/g, (_, at: number) => (at === last ? String(turn + 1) : "1"));
}

/** `shelves/{shelf}` of `shelves/{shelf}/books/{book}`, and of `shelves/{shelf}/settings`. */
function parentOf(pattern: string): string {
  const parts = pattern.split("/");
  return parts.slice(0, parts.at(-1)?.includes("{") === true ? -2 : -1).join("/");
}

function usable(pattern: string | undefined): string | undefined {
  return pattern === undefined || pattern === "" || pattern === "*" ? undefined : pattern;
}

/** The resources of a file and of those that it imports, however far. */
function knownPatterns(file: DescFile): ReadonlyMap<string, string> {
  const known = patternsOf.get(file);
  if (known !== undefined) return known;
  const patterns = new Map<string, string>();
  const seen = new Set<DescFile>();
  const open = [file];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const own = hasOption(next, resource_definition) ? getOption(next, resource_definition) : [];
    const ofMessages = next.messages.filter((message) => hasOption(message, resource));
    for (const { type, pattern } of [...own, ...ofMessages.map((message) => getOption(message, resource))]) {
      if (!patterns.has(type)) patterns.set(type, pattern[0] ?? "");
    }
    open.push(...next.dependencies);
  }
  patternsOf.set(file, patterns);
  return patterns;
}
