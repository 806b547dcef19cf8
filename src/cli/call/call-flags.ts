import {
  choiceFlag,
  checkedListFlag,
  countFlag,
  durationFlag,
  optionalChoiceFlag,
  optionalFlag,
  switchFlag,
} from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import { contractFlags } from "../contracts/contract-flags.ts";
import { targetFlags } from "../contracts/target-flags.ts";

/** What a printed command line or program calls with. */
export const printForms = ["curl", "grpcurl", "typescript"] as const;

/** Flags of `ts-ms call`. */
export const callFlags = {
  data: {
    ...optionalFlag(
      "JSON|@FILE|@-",
      "The request, as JSON, from a file, or from standard input; for streams of requests several texts. Comments after // are skipped",
    ),
    short: "d",
  },
  header: {
    ...checkedListFlag("NAME:VALUE", "A header of the call", (text) =>
      /^[\w!#$%&'*+.^`|~-]+\s*:/.test(text) ? undefined : "must be NAME:VALUE",
    ),
    short: "H",
  },
  rest: {
    ...switchFlag("Call by the HTTP rules of the rpc, as http:// targets are by default"),
    excludes: ["connect"],
  },
  connect: { ...switchFlag("Call an http:// target by the Connect protocol"), excludes: ["rest"] },
  maxTime: durationFlag(0, "Give up after this time, which is the deadline of the call too; 0 for never"),
  maxMessages: countFlag(0, "End a stream, with exit code 0, after so many replies; 0 for none"),
  output: {
    ...choiceFlag(
      ["pretty", "json", "lines", "binary"],
      "pretty",
      "Form of replies: indented JSON, one JSON value (streams as an array), a line of JSON each, or protobuf, of streams with their lengths in front; google.api.HttpBody as its bytes",
    ),
    short: "o",
  },
  verbose: { ...switchFlag("Print headers, trailers, status and times on standard error"), short: "v" },
  template: {
    ...switchFlag("Print a request to fill in, with the comments of the contract"),
    excludes: ["print"],
  },
  print: optionalChoiceFlag(printForms, "Do not call, print a command or a program that does"),
  ...contractFlags,
  contractsOf: {
    ...optionalFlag("TARGET", "Take the contracts of the reflection of this gRPC server"),
    excludes: ["descriptors", "proto"],
  },
  ...targetFlags,
} as const;

/** The values of `callFlags`. */
export type CallFlagValues = FlagValues<typeof callFlags>;
