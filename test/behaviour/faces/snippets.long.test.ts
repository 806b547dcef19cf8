/** Snippets of the console, rule 43: each runs in bash as it is and gives the reply of the call. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { ConsoleHost } from "../../support/console-host.ts";
import { grpcurl, noGrpcurl } from "../../support/grpcurl.ts";

const root = join(import.meta.dirname, "../../..");
const page = join(root, "src/gateway/faces/docs/page");
const library = "library.v1.LibraryService";

/** A file of the console, which has no types outside of its folder. */
async function pageModule<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(join(page, name)).href)) as T; // As its JSDoc says.
}

interface RouteText {
  readonly verb: string;
}
interface RpcEntry {
  readonly id: string;
  readonly input: string;
  readonly output: string;
  readonly service: { readonly file: string };
  readonly routes: readonly RouteText[];
}
interface Model {
  readonly rpcs: ReadonlyMap<string, RpcEntry>;
  message(name: string): { readonly file: string } | undefined;
}
interface Snippet {
  readonly name: string;
  readonly text: string;
}

const { Model } = await pageModule<{ Model: new (text: unknown) => Model }>("model.js");
const { snippets } = await pageModule<{ snippets: (init: object) => Snippet[] }>("snippets.js");
const { restRequest } = await pageModule<{
  restRequest: (...parts: readonly unknown[]) => { readonly path: string; readonly body: string | undefined };
}>("rest-request.js");
const { parseJson } = await pageModule<{ parseJson: (text: string) => unknown }>("json-text.js");

/** Runs a command in bash. */
async function bash(command: string, env: NodeJS.ProcessEnv = {}, cwd = root): Promise<string> {
  const { stdout } = await promisify(execFile)("bash", ["-c", command], {
    cwd,
    env: { ...process.env, ...env },
    timeout: 30_000,
  });
  return stdout;
}

suite("snippets", () => {
  let host: ConsoleHost;
  let model: Model;
  before(async () => {
    host = await ConsoleHost.start();
    model = new Model(await (await fetch(`${host.origin}/docs/model.json`)).json());
  });
  after(() => host[Symbol.asyncDispose]());

  function commands(
    name: string,
    messages: readonly object[],
    headers: readonly (readonly [string, string])[] = [],
  ): ReadonlyMap<string, string> {
    const rpc = model.rpcs.get(name) ?? assert.fail(name);
    const message = model.message(rpc.input);
    const texts = messages.map((one) => JSON.stringify(one));
    const rest = restRequest(model, message, rpc.routes[0], parseJson(texts[0] ?? "{}"));
    const call = { rpc, root: "", rest, messages: texts, headers, timeoutMs: 5000 };
    const made = snippets({
      call,
      origin: host.origin,
      contract: "/docs/contract.binpb",
      output: rpc.service.file,
      inputFile: message?.file,
      outputFile: model.message(rpc.output)?.file,
    });
    return new Map(made.map((one) => [one.name, one.text]));
  }

  const awkward = `it's $HOME "quoted" \`id\` \\ !! %s`;

  test("curl by REST: path, query, body, quotes of a shell, a secret as a variable", async () => {
    const text = commands(`${library}/CreateBook`, [{ parent: "shelves/1", book: { title: awkward } }]).get(
      "curl",
    );
    assert.equal((JSON.parse(await bash(text ?? "")) as { title?: string }).title, awkward);
    const found = commands(`${library}/ListBooks`, [
      { parent: "shelves/1", filter: `title="${awkward.slice(0, 4)}"` },
    ]);
    assert.deepEqual(Object.keys(JSON.parse(await bash(found.get("curl") ?? "")) as object), [
      "books",
      "nextPageToken",
      "totalSize",
    ]);
    const secret = commands(
      `${library}/GetShelf`,
      [{ name: "shelves/1" }],
      [["authorization", "Bearer s3cret"]],
    );
    for (const one of secret.values())
      assert.ok(!one.includes("s3cret") && /\$TOKEN|env\.TOKEN/.test(one), one);
    assert.match(await bash(secret.get("curl") ?? "", { TOKEN: "x" }), /"shelves\/1"/);
  });

  test("curl by Connect: unary calls, and streams in their envelopes", async () => {
    const text = commands(`${library}/GetBook`, [{ name: "shelves/1/books/1" }]).get("curl, Connect");
    assert.match(await bash(text ?? ""), /"title":"Dune"/);
    const imported = commands(`${library}/ImportBooks`, [
      { parent: "shelves/2", book: { title: awkward } },
      { book: { title: "Two" } },
    ]).get("curl, Connect");
    assert.match(await bash(imported ?? ""), /"imported":2/);
  });

  test("curl by REST: streams of requests, of replies, and both", async () => {
    const imported = commands(`${library}/ImportBooks`, [
      { parent: "shelves/2", book: { title: "One" } },
      { book: { title: "Two" } },
    ]);
    assert.match(imported.get("curl") ?? "", /x-ndjson/);
    const chat = commands(`${library}/Chat`, [{ text: "dune" }]).get("curl");
    assert.match(await bash(chat ?? ""), /We have: Dune/);
  });

  test("ts-ms call: unary calls, and streams of requests and replies", { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(root, ".cache/snippet-"));
    try {
      // `npx` finds the command of the package under its own name, as it is here.
      const program = join(root, "src/cli/ts-ms.ts");
      const npx = `#!/bin/sh\n[ "$1" = ts-ms ] || exit 9\nshift\nexec '${process.execPath}' '${program}' "$@"\n`;
      await writeFile(join(folder, "npx"), npx, { mode: 0o755 });
      const run = (
        name: string,
        messages: readonly object[],
        headers: readonly (readonly [string, string])[] = [],
      ): Promise<string> =>
        bash(commands(name, messages, headers).get("ts-ms call") ?? "", {
          PATH: `${folder}:${process.env.PATH}`,
          TOKEN: "x",
        });
      const made = await run(
        `${library}/CreateBook`,
        [{ parent: "shelves/1", book: { title: awkward } }],
        [["authorization", "Bearer s3cret"]],
      );
      assert.equal((JSON.parse(made) as { book?: { title?: string } }).book?.title, awkward);
      assert.match(
        await run(`${library}/Chat`, [{ text: "dune" }, { text: "x" }]),
        /We have: Dune[^]*nothing like/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("grpcurl: unary calls, and streams of requests and replies", { skip: noGrpcurl }, async () => {
    const run = (...call: Parameters<typeof commands>): Promise<string> =>
      bash(commands(...call).get("grpcurl") ?? "", {
        PATH: `${dirname(grpcurl ?? "")}:${process.env.PATH}`,
        TOKEN: "x",
      });
    const made = await run(
      `${library}/CreateBook`,
      [{ parent: "shelves/1", book: { title: awkward } }],
      [["authorization", "Bearer s3cret"]],
    );
    assert.equal((JSON.parse(made) as { book?: { title?: string } }).book?.title, awkward);
    const books = [{ parent: "shelves/2", book: { title: "One" } }, { book: { title: "Two" } }];
    assert.equal(
      (JSON.parse(await run(`${library}/ImportBooks`, books)) as { imported?: number }).imported,
      2,
    );
    assert.match(
      await run(`${library}/Chat`, [{ text: "dune" }, { text: "x" }]),
      /We have: Dune[^]*nothing like/,
    );
  });

  test("TypeScript: a typed client", { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(root, ".cache/snippet-"));
    try {
      await symlink(join(root, "gen"), join(folder, "gen"));
      // The package under its own name, as it is here.
      const source = pathToFileURL(join(root, "src/index.ts")).href;
      await writeFile(
        join(folder, "hook.mjs"),
        `import { registerHooks } from "node:module";
registerHooks({ resolve: (name, context, next) => name === "ts-ms" ? { url: ${JSON.stringify(source)}, shortCircuit: true } : next(name, context) });`,
      );
      const run = async (name: string, messages: readonly object[]): Promise<string> => {
        await writeFile(join(folder, "call.ts"), commands(name, messages).get("TypeScript") ?? "");
        return bash(`"$NODE" --import ./hook.mjs call.ts`, { NODE: process.execPath }, folder);
      };
      assert.match(await run(`${library}/GetBook`, [{ name: "shelves/1/books/1" }]), /"title":"Dune"/);
      assert.match(
        await run(`${library}/Chat`, [{ text: "dune" }, { text: "x" }]),
        /We have: Dune[^]*nothing like/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
