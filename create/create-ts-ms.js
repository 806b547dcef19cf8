#!/usr/bin/env node
/** `npm create ts-ms DIR`: the command `ts-ms new DIR` of the package beside this one. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const manifest = createRequire(import.meta.url).resolve("ts-ms/package.json");
const { bin } = JSON.parse(readFileSync(manifest, "utf8"));
process.argv.splice(2, 0, "new");
await import(pathToFileURL(join(dirname(manifest), bin["ts-ms"])).href);
