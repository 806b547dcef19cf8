import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { Checks, type Suite } from "../suite.ts";
import { Missing } from "../tools.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

/** Shells as they are started, and what turns the completion of `ts-ms` on. */
const shells = {
  bash: { words: ["bash", "--norc", "--noprofile", "-i"], setup: ['eval "$(ts-ms completion bash)"'] },
  zsh: {
    words: ["zsh", "-f", "-i"],
    setup: ["autoload -Uz compinit", "compinit -u -D", 'eval "$(ts-ms completion zsh)"'],
  },
  fish: { words: ["fish", "--no-config", "-i"], setup: ["ts-ms completion fish | source"] },
} as const;

const contracts = "--proto-path proto --proto library/v1/library.proto";

/** What is typed before Tab, and what the screen shows then: one candidate alone completes the line. */
const lines: readonly (readonly [typed: string, shown: string])[] = [
  ["ts-ms rou", "ts-ms routes"],
  ["ts-ms call x:1 --contr", "--contracts-of"],
  ["ts-ms call x:1 --print grp", "--print grpcurl"],
  [`ts-ms call x:1 ${contracts} GetB`, "GetBook"],
  ["ts-ms routes --descriptors tsconfig.bu", "tsconfig.build.json"],
];

/** The completion of `ts-ms` in bash, zsh and fish, by the key Tab in a pseudo terminal. */
export const shellCompletion: Suite = {
  name: "shells",
  async run() {
    const checks = new Checks();
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-shells-"));
    const program = join(folder, "ts-ms");
    writeFileSync(
      program,
      `#!/bin/sh\nexec "${process.execPath}" "${join(root, "src/cli/ts-ms.ts")}" "$@"\n`,
    );
    chmodSync(program, 0o755);
    const env = { ...process.env, PATH: [folder, process.env["PATH"]].join(delimiter) };
    try {
      for (const [name, { words, setup }] of Object.entries(shells)) {
        await needed(name);
        for (const [line, wanted] of lines) {
          await checks.check(`${name}: ${line}`, async () => {
            const script = join(import.meta.dirname, "press_tab.py");
            const steps = JSON.stringify({ shell: words, setup, line, wanted });
            await run("python3", [script, steps], { cwd: root, env, timeout: 120_000 });
          });
        }
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return checks.result;
  },
};

async function needed(shell: string): Promise<void> {
  try {
    await run(shell, ["-c", "true"]);
  } catch {
    throw new Missing(`${shell} is not installed (apt-get install ${shell})`);
  }
}
