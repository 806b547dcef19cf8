import { choiceFlag, listFlag, optionalFlag } from "../../core/config/flag-kinds.ts";
import { defineCommand } from "../command.ts";
import { contractFlags, contractTarget, rulesFlag } from "../contracts/contract-flags.ts";
import { targetFlags } from "../contracts/target-flags.ts";

/** `ts-ms lint`: what is wrong with contracts, beyond what buf sees. */
export const command = defineCommand({
  positionals: [contractTarget],
  flags: {
    ...contractFlags,
    rules: rulesFlag,
    against: optionalFlag(
      "FILE|DIR",
      "An older contract, a descriptor set or a folder of .proto sources: say what breaks for its clients",
    ),
    format: choiceFlag(["text", "json", "github"], "text", "How findings are written"),
    except: listFlag("ID", "A rule that is left out, one of these or of buf"),
    ...targetFlags,
  },
  examples: [
    ["lint --proto shop.proto", "what is wrong with a contract"],
    ["lint --proto shop.proto --against main.binpb", "and what breaks for clients of an older one"],
  ],
  async run(flags, [target]) {
    const { lint } = await import("./run-lint.ts");
    return lint(flags, target);
  },
});
