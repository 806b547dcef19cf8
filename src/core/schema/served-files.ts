import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";

/** The full names of the services that a file defines. */
export function serviceNames(file: FileDescriptorProto): string[] {
  const scope = file.package === "" ? "" : `${file.package}.`;
  return file.service.map(({ name }) => `${scope}${name}`);
}

/**
 * The files that are needed to serve some services: those that define one of them; files without a service that no
 * other file imports, since they may define error details and types for `google.protobuf.Any`; and the imports of all
 * these. The files of other services, and what only they import, would waste memory.
 *
 * @param services Full names.
 */
export function filesServing(
  files: readonly FileDescriptorProto[],
  services: readonly string[],
): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const wanted = new Set(services);
  const imported = new Set(files.flatMap(({ dependency }) => dependency));
  const kept = new Set(
    files.filter((file) =>
      file.service.length === 0
        ? !imported.has(file.name)
        : serviceNames(file).some((name) => wanted.has(name)),
    ),
  );
  for (const { dependency } of kept) {
    for (const name of dependency) {
      const file = byName.get(name);
      if (file !== undefined) kept.add(file);
    }
  }
  return files.filter((file) => kept.has(file));
}
