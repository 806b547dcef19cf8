import { filesFlag, optionalFlag } from "../../core/config/flag-kinds.ts";
import { contractFlags, rulesFlag } from "../contracts/contract-flags.ts";
import { targetFlags } from "../contracts/target-flags.ts";

/** Flags of all commands that print a document about contracts. */
export const documentFlags = {
  ...contractFlags,
  rules: rulesFlag,
  comments: filesFlag(
    "Comments of the contracts: a descriptor set with source information, as buf build -o FILE writes it",
  ),
  output: {
    ...optionalFlag("FILE", "Write the document into this file. Default: standard output"),
    short: "o",
  },
  ...targetFlags,
} as const;
