/**
 * `npm run generate`: code of all protos, their comments in `gen/contract.binpb`, which the programs under `examples/` put
 * into documents, and the routes of `deploy/kubernetes`, which follow the contracts.
 *
 * An argument is the folder in which `gen` and `deploy` are made, instead of the project's own.
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

/** @param args of Node */
const run = async (...args) => {
  const end = await runChild(process.execPath, args);
  if (end.code !== 0) endLike(end);
};

await run(buf, "generate", "-o", folder);
await run(buf, "build", ...contracts, "-o", join(folder, "gen/contract.binpb"));
await run("tools/render-routes.js", folder);
