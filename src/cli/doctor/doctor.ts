import { switchFlag } from "../../core/config/flag-kinds.ts";
import { defineCommand, exitCodes } from "../command.ts";
import { targetFlags } from "../contracts/target-flags.ts";

/** `ts-ms doctor`: what is wrong with a project, or with the way to a server. */
export const command = defineCommand({
  positionals: [
    {
      name: "TARGET",
      help: "A server to look at, host:port or a URL, instead of the project in this folder",
      isOptional: true,
    },
  ],
  flags: {
    json: switchFlag("Print JSON"),
    fix: switchFlag("Do what is safe: install missing packages, generate code"),
    ...targetFlags,
  },
  examples: [
    ["doctor", "look at the project in this folder"],
    ["doctor --fix", "and install and generate what is missing"],
    ["doctor localhost:50051", "name, connection, TLS, health, reflection, clock of a server"],
  ],
  async run(flags, [target]) {
    const { findingsText } = await import("./findings.ts");
    const findings = await (target === undefined
      ? (await import("./check-project.ts")).checkProject(process.cwd(), flags.fix)
      : (await import("./check-target.ts")).checkTarget(target, flags));
    process.stdout.write(flags.json ? `${JSON.stringify(findings, undefined, 2)}\n` : findingsText(findings));
    return findings.some(({ state }) => state === "broken") ? exitCodes.failed : exitCodes.done;
  },
});
