/** What GraphQL needs to be installed. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../..");

/** Starts a server with GraphQL in a process in which packages are resolved by `hook`; prints what is thrown. */
async function startWith(hook: string): Promise<string> {
  const program = `
    import { registerHooks } from "node:module";
    registerHooks({ resolve(specifier, context, next) { ${hook} return next(specifier, context); } });
    const { GrpcServer, HttpServer } = await import(${JSON.stringify(join(root, "src/index.ts"))});
    const { graphql } = await import(${JSON.stringify(join(root, "src/entries/graphql.ts"))});
    const http = new HttpServer({ port: 0, upstream: new GrpcServer({ listen: false }), faces: [graphql()], logger: false });
    await http.start().then(() => console.log("started"), (error) => console.log(error.constructor.name, error.message));
    console.log(http.address === undefined ? "not bound" : "bound");
    process.exit();
  `;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: root });
  return stdout;
}

test("F18: a missing package, or one of a wrong major, is named with the line that installs it", async () => {
  const missing =
    'if (specifier === "graphql") throw Object.assign(new Error(specifier), { code: "ERR_MODULE_NOT_FOUND" });';
  const old =
    'if (specifier === "graphql") return { url: "data:text/javascript,export const version = %2215.8.0%22", shortCircuit: true };';
  const [without, outdated] = await Promise.all([startWith(missing), startWith(old)]);
  const line = "npm install graphql@17 graphql-ws@6 dataloader@2";
  assert.equal(without, `SetupError graphql: the package graphql is not installed: ${line}\nnot bound\n`);
  assert.equal(
    outdated,
    `SetupError graphql: graphql 15.8.0 does not fit, 16 or 17 is needed: ${line}\nnot bound\n`,
  );
});
