import { existsSync, globSync, statSync } from "node:fs";
import { join } from "node:path";
import { create, type FileRegistry, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { SetupError } from "../../core/errors/setup-error.ts";
import { descriptorSetSource, protoSource, type Schema } from "../../core/schema/schema.ts";
import { bufModules } from "./buf-config.ts";

/**
 * The contract of a descriptor set, of a source, or of all sources in a folder, which may be one of a project: its
 * packages are not looked at, and names of files begin at its modules.
 *
 * @param only names of the services to load; empty for all
 * @throws SetupError if there is none
 */
export async function olderContract(path: string, only: readonly string[]): Promise<Schema> {
  const kind = statSync(path, { throwIfNoEntry: false });
  if (kind === undefined) throw new SetupError(`--against: ${path} is not there`);
  const { signal } = new AbortController();
  if (path.endsWith(".proto")) return protoSource([path], [], only).load(signal);
  if (!kind.isDirectory()) return descriptorSetSource([path], only).load(signal);
  const folders = sourceFolders(path);
  const files = folders.flatMap((cwd) =>
    globSync("**/*.proto", { cwd, exclude: ["**/node_modules/**"] }).map((file) => join(cwd, file)),
  );
  if (files.length === 0) throw new SetupError(`--against: ${path} has no .proto files`);
  return protoSource([...new Set(files)].toSorted(), [...folders, join(path, "proto")], only).load(signal);
}

/** Folders with sources: the modules of a project but those of packages, else the folder itself. */
function sourceFolders(folder: string): readonly string[] {
  if (!existsSync(join(folder, "buf.yaml"))) return [folder];
  const own = bufModules(folder).filter(({ path }) => !path.split("/").includes("node_modules"));
  return own.map(({ path }) => join(folder, path));
}

/**
 * The files of an older contract as a `google.protobuf.FileDescriptorSet`, without comments, whose places in the source
 * are not known. A file whose name the newer contract does not have, such as one that lies alone elsewhere, takes that
 * of the newer file with its package, where there is one.
 */
export function descriptorSet(older: FileRegistry, newer: FileRegistry): Uint8Array {
  const added = [...newer.files].filter(({ proto }) => older.getFile(proto.name) === undefined);
  const nameOf = (name: string): string => {
    const file = older.getFile(name);
    if (file === undefined || newer.getFile(name) !== undefined) return name;
    const [one, another] = added.filter(({ proto }) => proto.package === file.proto.package);
    return one === undefined || another !== undefined ? name : one.proto.name;
  };
  const file = [...older.files].map(({ proto }) => ({
    ...proto,
    name: nameOf(proto.name),
    dependency: proto.dependency.map(nameOf),
    sourceCodeInfo: undefined,
  }));
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
}
