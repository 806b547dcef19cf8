import type { DescService, FileRegistry } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { choiceFlag, filesFlag, listFlag, switchFlag } from "../config/flag-kinds.ts";
import type { FlagValues } from "../config/flags.ts";
import { linkFiles } from "./file-set.ts";
import { reflectionSource } from "./reflection-source.ts";
import { descriptorSetSource, protoSource, toSchema, type SchemaSource } from "./schema.ts";

/** Flags of a gateway for services whose contracts are loaded at run time. */
export const schemaFlags = {
  descriptors: {
    ...filesFlag("Serve the services of this binary FileDescriptorSet"),
    excludes: ["proto", "reflection"],
  },
  proto: {
    ...listFlag("FILE", "Serve the services of this .proto source"),
    excludes: ["descriptors", "reflection"],
  },
  protoPath: listFlag("DIR", "Folder to search for .proto sources and their imports"),
  reflection: {
    ...switchFlag("Serve the services that the upstream lists by server reflection"),
    excludes: ["descriptors", "proto"],
  },
  service: listFlag("NAME", "Serve only these of the loaded services, by full name"),
  onBadRule: choiceFlag(
    ["refuse", "skip"],
    "refuse",
    "What to do with HTTP rules of the contracts that cannot be served or that clash: an error, or skip them with a warning",
  ),
} as const;

/**
 * The schema source that the flags select.
 *
 * @param upstream Transport to the server whose reflection is used.
 * @param builtIn The services to expose if no flag selects a source.
 */
export function schemaSource(
  { descriptors, proto, protoPath, reflection, service }: FlagValues<typeof schemaFlags>,
  upstream: Transport,
  builtIn: readonly DescService[],
): SchemaSource {
  if (descriptors.length > 0) return descriptorSetSource(descriptors, service);
  if (proto.length > 0) return protoSource(proto, protoPath, service);
  if (reflection) return reflectionSource(upstream, service);
  return { name: "built-in services", load: async () => toSchema(registryOf(builtIn), service) };
}

/** The files of `services` and all their imports. */
function registryOf(services: readonly DescService[]): FileRegistry {
  const files = new Set(services.map(({ file }) => file));
  for (const file of files) for (const imported of file.dependencies) files.add(imported);
  return linkFiles(
    [...files].map(({ proto }) => proto),
    "built-in services",
  );
}
