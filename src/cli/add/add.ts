import { FlagError } from "../../core/errors/setup-error.ts";
import { defineCommand, exitCodes } from "../command.ts";

/** `ts-ms add`: one more service in a project. */
export const command = defineCommand({
  positionals: [
    { name: "KIND", help: "What is added", choices: ["service"] },
    { name: "NAME", help: "Its name, such as orders" },
  ],
  flags: {},
  examples: [
    ["add service orders", "contract, class and test of a second service, served beside the others"],
  ],
  async run(_flags, [, name]) {
    if (name === undefined) throw new FlagError("NAME is missing: ts-ms add service NAME");
    const { addService } = await import("./add-service.ts");
    process.stdout.write(addService(process.cwd(), name));
    return exitCodes.done;
  },
});
