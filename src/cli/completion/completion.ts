import { defineCommand, exitCodes } from "../command.ts";
import { scripts, shells } from "./scripts.ts";

/** `ts-ms completion`: the script by which a shell completes command lines. */
export const command = defineCommand({
  positionals: [{ name: "SHELL", help: shells.join(", "), choices: shells }],
  flags: {},
  examples: [
    ["completion bash >> ~/.bashrc", "for bash"],
    ["completion zsh > ~/.zfunc/_ts-ms", "for zsh, where fpath has ~/.zfunc"],
    ["completion fish > ~/.config/fish/completions/ts-ms.fish", "for fish"],
  ],
  async run(_flags, [name]) {
    const shell = shells.find((one) => one === name);
    if (shell !== undefined) process.stdout.write(scripts[shell]);
    return exitCodes.done;
  },
});
