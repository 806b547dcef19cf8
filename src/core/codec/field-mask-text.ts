const jsonPath = /^[A-Za-z0-9.]*$/;

/**
 * Reads the paths of a `google.protobuf.FieldMask` from its JSON text, comma-separated lowerCamelCase names;
 * undefined where a path has a character that does not belong there.
 */
export function parseFieldMask(text: string): string[] | undefined {
  if (text === "") return [];
  const paths = text.split(",");
  if (!paths.every((path) => jsonPath.test(path))) return undefined;
  return paths.map((path) => path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

/** Prints the paths of a FieldMask; undefined where a path would not read back as the same one. */
export function formatFieldMask(paths: readonly string[]): string | undefined {
  const names = paths.map((path) => path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()));
  const text = names.join(",");
  const back = parseFieldMask(text);
  const same =
    back !== undefined && back.length === paths.length && back.every((path, i) => path === paths[i]);
  return same ? text : undefined;
}
