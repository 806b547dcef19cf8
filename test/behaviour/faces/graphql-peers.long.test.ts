/** What GraphQL needs to be installed. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../..");

const line = "npm install graphql@17 graphql-ws@6 dataloader@2";

/**
 * Starts servers with GraphQL, one after the other, in a process in which packages are resolved by `hook`; prints what is
 * thrown. @param starts values of the variable `start`, which the hook may look at
 */
async function startWith(hook: string, starts: readonly string[] = [""]): Promise<readonly string[]> {
  const program = `
    import { registerHooks } from "node:module";
    let start = "";
    registerHooks({ resolve(specifier, context, next) { ${hook} return next(specifier, context); } });
    const { GrpcServer, HttpServer } = await import(${JSON.stringify(join(root, "src/index.ts"))});
    const { graphql } = await import(${JSON.stringify(join(root, "src/entries/graphql.ts"))});
    for (start of ${JSON.stringify(starts)}) {
      const faces = [graphql(start === "sse" ? { subscriptions: ["sse"] } : {})];
      const http = new HttpServer({ port: 0, upstream: new GrpcServer({ listen: false }), faces, logger: false });
      const text = await http.start().then(() => "started", (error) => error.constructor.name + " " + error.message);
      console.log(text + (http.address === undefined ? "" : ", bound"));
    }
    process.exit();
  `;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: root });
  return stdout.trim().split("\n");
}

test("F18: a missing package is named with the line that installs it, and no port is bound", async () => {
  const hook = `if (start !== "" && specifier.split("/")[0] === start) {
    throw Object.assign(new Error("Cannot find package '" + start + "'"), { code: "ERR_MODULE_NOT_FOUND" });
  }`;
  const names = ["graphql", "graphql-ws", "dataloader"];
  assert.deepEqual(
    await startWith(hook, names),
    names.map((name) => `SetupError graphql: the package ${name} is not installed: ${line}`),
  );
});

test("F18: a package of a wrong major is named with the line that installs another", async () => {
  const old = `if (specifier === "graphql") {
    return { url: "data:text/javascript,export const version = %2215.8.0%22", shortCircuit: true };
  }`;
  const others = `const version = { "graphql-ws/package.json": "5.16.0", "dataloader/package.json": "1.4.0" }[specifier];
    if (version !== undefined) {
      return { url: "data:application/json," + JSON.stringify({ version }), shortCircuit: true };
    }`;
  const [outdated, found] = await Promise.all([startWith(old), startWith(others, ["", "sse"])]);
  assert.deepEqual(outdated, [
    `SetupError graphql: graphql 15.8.0 does not fit, 16 or 17 is needed: ${line}`,
  ]);
  assert.deepEqual(found, [
    `SetupError graphql: graphql-ws 5.16.0 does not fit, 6 is needed: ${line}`,
    "SetupError graphql: dataloader 1.4.0 does not fit, 2 is needed: npm install graphql@17 dataloader@2",
  ]);
});
