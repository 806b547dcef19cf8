import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Why a system Node must be this new: from here on it runs TypeScript sources without a flag. */
const typeStripping = "22.18 (or 23.6)";

/**
 * Path of the Node that runs this repository: the pinned one of `tools/node`, else the one that runs this file if it
 * can run TypeScript.
 *
 * Throws an error that says what to install when neither can be used.
 */
export function pickNode(root) {
  const pinned = pinnedNode(root);
  // A binary may be there and still not start, such as one for glibc on a musl system.
  if (pinned !== undefined && spawnSync(pinned, ["--version"]).status === 0) return pinned;
  if (runsTypeScript(process.versions.node)) return process.execPath;
  throw new Error(
    `No pinned Node runs on ${process.platform}-${process.arch}, and this one is ${process.version}: ` +
      `install Node ${typeStripping} or newer and try again.`,
  );
}

function pinnedNode(root) {
  const name = process.platform === "win32" ? ["node.exe"] : ["bin", "node"];
  const platform = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  return [`node-${platform}`, `node-bin-${platform}`]
    .flatMap((pkg) => [
      join(root, "tools/node/node_modules", pkg, ...name),
      join(root, "tools/node/node_modules", pkg, "bin", name[name.length - 1]),
    ])
    .find((path) => existsSync(path));
}

/** Whether a Node of this version (such as `22.18.0`) strips types without a flag. */
export function runsTypeScript(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major === 22) return minor >= 18;
  if (major === 23) return minor >= 6;
  return major > 23;
}
