import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { commands } from "../../src/cli/commands.ts";
import { complete, splitLine } from "../../src/cli/completion/complete.ts";
import { GrpcServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { run } from "../support/program.ts";
import { tsMs, tsMsFile } from "../support/ts-ms.ts";

const grpc = new GrpcServer({ port: 0, host: "127.0.0.1" });
let target = "";
/** Contracts of files, which take no time limit. */
const contracts = "--proto-path proto --proto library/v1/library.proto";

before(async () => {
  grpc.addService(new LibraryService(seedLibrary()));
  await grpc.start();
  target = `127.0.0.1:${grpc.address?.port}`;
});
after(async () => {
  await grpc.gracefulStop();
});

/** The words that may stand in place of the last one and begin as it does. */
async function words(...line: readonly string[]): Promise<readonly string[]> {
  const { candidates, paths } = await complete(commands, line, 10_000); // This machine may be busy.
  const found = candidates.map(({ word }) => word).filter((word) => word.startsWith(line.at(-1) ?? ""));
  return paths === undefined ? found : [...found, `:${paths}`];
}

suite("what is completed", () => {
  test("commands, also behind help", async () => {
    const names = commands.map(({ name }) => name);
    assert.deepEqual(await words(""), [...names, "help"]);
    assert.deepEqual(await words("help", ""), names);
    assert.deepEqual(await words("ro"), ["routes"]);
    assert.deepEqual(await words("nix", ""), []);
  });

  test("flags, values of choices, files and folders", async () => {
    assert.deepEqual(await words("call", "--contr"), ["--contracts-of"]);
    assert.deepEqual(await words("call", "x:1", "-o", ""), ["pretty", "json", "lines", "binary"]);
    assert.deepEqual(await words("call", "x:1", "--print", "g"), ["grpcurl"]);
    assert.deepEqual(await words("call", "x:1", "--print=g"), ["--print=grpcurl"]);
    assert.deepEqual(await words("routes", "--descriptors", ""), [":files"]);
    assert.deepEqual(await words("routes", "--proto-path", ""), [":folders"]);
    assert.deepEqual(await words("serve", "--exporter-port", ""), ["off"]);
    assert.deepEqual(await words("serve", "--no-open"), ["--no-openapi"]);
    assert.deepEqual(await words("completion", ""), ["bash", "zsh", "fish"]);
  });

  test("rpcs of the target in the line, fields of the request and their values", async () => {
    assert.deepEqual(await words("call", target, "Get"), ["GetShelf", "GetBook"]);
    assert.deepEqual(await words("call", target, "library.v1.LibraryService/GetB"), [
      "library.v1.LibraryService/GetBook",
    ]);
    assert.deepEqual(await words("call", target, "GetBook", ""), ["name="]);
    assert.deepEqual(await words("call", target, "CreateBook", ""), ["parent=", "book."]);
    assert.deepEqual(await words("call", target, "CreateBook", "book.la"), ["book.labels["]);
    assert.deepEqual(await words("call", target, "CreateBook", "book.state=BOOK_STATE_A"), [
      "book.state=BOOK_STATE_AVAILABLE",
    ]);
  });

  test("nothing, within 300 ms, for a target that does not answer", async () => {
    const startedAt = performance.now();
    // The second is an address for documentation: nothing answers there, not even a refusal.
    for (const name of ["127.0.0.1:1", "192.0.2.1:1"]) {
      assert.deepEqual(await complete(commands, ["call", name, ""]), { candidates: [] });
    }
    assert.ok(performance.now() - startedAt < 2_000);
  });
});

test("a line is taken apart as a shell does", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["ts-ms ", ["ts-ms", ""]],
    ["ts-ms  call x:1", ["ts-ms", "call", "x:1"]],
    [`ts-ms call 'a b' "c d"\\ e `, ["ts-ms", "call", "a b", "c d e", ""]],
  ];
  for (const [line, expected] of cases) assert.deepEqual(splitLine(line), expected, line);
});

test("each shell gets candidates as it takes them", async () => {
  const bash = await tsMs(
    "__complete",
    "bash",
    `ts-ms call x:1 ${contracts} CreateBook book.state=BOOK_STATE_A`,
  );
  assert.equal(bash.stdout, "BOOK_STATE_AVAILABLE\n");
  const nospace = await tsMs("__complete", "bash", `ts-ms call x:1 ${contracts} GetBook na`);
  assert.equal(nospace.stdout, "name=\n:nospace\n");
  const zsh = await tsMs("__complete", "zsh", "call", "x:1", ...contracts.split(" "), "GetB");
  assert.equal(zsh.stdout, "GetBook:GetBookRequest → GetBookResponse\n");
  const fish = await tsMs("__complete", "fish", "call", "x:1", ...contracts.split(" "), "GetB");
  assert.equal(fish.stdout, "GetBook\tGetBookRequest → GetBookResponse\n");
});

test("bash completes a line by the script", async () => {
  const script = `
    ts-ms() { ${JSON.stringify(process.execPath)} ${JSON.stringify(tsMsFile)} "$@"; }
    compopt() { :; }
    eval "$(ts-ms completion bash)"
    COMP_LINE="ts-ms call x:1 ${contracts} Get"; COMP_POINT=\${#COMP_LINE}
    _ts_ms; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await run("bash", "-c", script);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "GetShelf\nGetBook\n");
});
