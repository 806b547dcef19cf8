import { filesFlag, optionalFlag } from "../../core/config/flag-kinds.ts";
import { contractFlags } from "../contracts/contract-flags.ts";
import { targetFlags } from "../contracts/target-flags.ts";

/** Flags of all commands that print a document about contracts. */
export const documentFlags = {
  ...contractFlags,
  rules: filesFlag("HTTP rules outside the contracts, google.api.Service as YAML or JSON"),
  comments: filesFlag(
    "Comments of the contracts: a descriptor set with source information, as buf build -o FILE writes it",
  ),
  output: {
    ...optionalFlag("FILE", "Write the document into this file. Default: standard output"),
    short: "o",
  },
  ...targetFlags,
} as const;
