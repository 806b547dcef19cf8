import { execFile } from "node:child_process";
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeOnce, Missing, toolCache } from "./tools.ts";

const run = promisify(execFile);

/**
 * The environment in which Python finds packages of PyPI, which are installed into the cache, with what they need.
 *
 * @param requirements with their versions: `jwcrypto==1.6.1`
 * @throws Missing if there is no Python 3 with pip, or a package cannot be installed
 */
export async function pythonPackages(...requirements: readonly string[]): Promise<NodeJS.ProcessEnv> {
  const folder = join(toolCache, `python-${requirements.join("-").replaceAll(/[^\w.-]+/g, "_")}`);
  await makeOnce(folder, async () => {
    await run("python3", ["-m", "pip", "--version"]).catch(() => {
      throw new Missing("Python 3 with pip is not installed");
    });
    const partial = `${folder}.partial`;
    rmSync(partial, { recursive: true, force: true });
    try {
      const words = ["-m", "pip", "install", "--quiet", "--target", partial, ...requirements];
      await run("python3", words, { timeout: 300_000 });
    } catch (error) {
      const reason = String(error).trim().split("\n").at(-1);
      throw new Missing(`${requirements.join(", ")} of PyPI cannot be installed: ${reason}`);
    }
    renameSync(partial, folder);
  });
  return { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1" };
}
