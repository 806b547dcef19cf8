/** The members of an object of JSON whose shape is not known. */
export type Members = Readonly<Record<string, unknown>>;

/** The members of a value; none if it is no object. */
export function membersOf(value: unknown): Members {
  return typeof value === "object" && value !== null ? (value as Members) : {};
}

/** A text; undefined for the empty one and for anything else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The entries of a list, as members; none if it is no list. */
export function entriesOf(value: unknown): Members[] {
  return Array.isArray(value) ? value.map(membersOf) : [];
}
