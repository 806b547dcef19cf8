#!/usr/bin/env node
/** The command `ts-ms`. This file imports nothing but what old versions of Node have too. */
import * as nodeModule from "node:module";

/** The oldest Node that runs this package, as `engines` in package.json has it. */
const oldestNode = [22, 18] as const;

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])) {
  process.stderr.write(
    `ts-ms needs Node ${oldestNode.join(".")} or newer, and this is ${process.versions.node} (${process.execPath}): ` +
      "install a newer one from https://nodejs.org, or `nvm install --lts`\n",
  );
  process.exit(1);
}

// The next start does not compile again what this one compiles.
nodeModule.enableCompileCache();
// A reader such as `head` that has read enough is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
const { main } = await import("./main.ts");
const code = await main(process.argv.slice(2));
// What is still open, such as a connection that is being closed, does not hold the end up.
process.stderr.write("", () => process.stdout.write("", () => process.exit(code)));
