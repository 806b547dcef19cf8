import { filesFlag, listFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues, Positional } from "../../core/config/flags.ts";

/** Flags that say where the contracts of a command are; with a target, reflection is where they are by default. */
export const contractFlags = {
  descriptors: {
    ...filesFlag("Take the contracts of this binary FileDescriptorSet"),
    excludes: ["proto"],
  },
  proto: { ...listFlag("FILE", "Take the contracts of this .proto source"), excludes: ["descriptors"] },
  protoPath: listFlag("DIR", "Folder to search for .proto sources and their imports"),
  service: listFlag("NAME", "Only these of the services, by full name"),
} as const;

/** Rules beside contracts, for commands that look at their routes. */
export const rulesFlag = filesFlag("HTTP rules outside the contracts, google.api.Service as YAML or JSON");

/** The values of `contractFlags`. */
export type ContractFlagValues = FlagValues<typeof contractFlags>;

/** The server whose reflection has the contracts, for commands that need nothing else of it. */
export const contractTarget: Positional = {
  name: "TARGET",
  help: "A gRPC server with reflection, such as localhost:50051, if no flag says where the contracts are",
  isOptional: true,
};
