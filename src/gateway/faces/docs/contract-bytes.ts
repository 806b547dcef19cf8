import { create, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The files of services and all that they import, each behind those that it imports, as a binary descriptor set. */
export function contractBytes(services: readonly DescService[]): Uint8Array {
  const files = new Set<DescFile>();
  const seen = new Set<DescFile>();
  const add = (file: DescFile): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const dependency of file.dependencies) add(dependency);
    files.add(file);
  };
  for (const { file } of services) add(file);
  const file = [...files].map(({ proto }) => proto);
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
}
