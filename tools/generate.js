/**
 * `npm run generate`: code of all protos, and their comments in `gen/contract.binpb`, which the programs under
 * `examples/` put into documents.
 *
 * An argument is the folder in which `gen` is made, instead of the project's own.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { endLike, runChild } from "./child.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const buf = join(root, "node_modules/@bufbuild/buf/bin/buf");
const [folder = root] = process.argv.slice(2);
/** What programs serve, and the details of errors. */
const contracts = ["library", "chat", "go", "google/rpc"].flatMap((name) => ["--path", `proto/${name}`]);

process.chdir(root);

/** @param args of buf */
const run = async (...args) => {
  const end = await runChild(process.execPath, [buf, ...args]);
  if (end.code !== 0) endLike(end);
};

await run("generate", "-o", folder);
await run("build", ...contracts, "-o", join(folder, "gen/contract.binpb"));
