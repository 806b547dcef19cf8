/** The audit log of a program by its configuration. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { VaultService } from "../../gen/tsms/test/v1/vault_pb.ts";
import { dial } from "../../src/core/dial.ts";
import type { AuditRecord } from "../../src/core/security/audit/audit-record.ts";
import { verifyAudit } from "../../src/core/security/audit/verify-audit.ts";
import { curl, Program } from "../support/program.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

const library = "library.v1.LibraryService";

interface Setup {
  readonly files: TemporaryFiles;
  readonly path: string;
  readonly config: string;
}

async function setup(files: TemporaryFiles, more = ""): Promise<Setup> {
  const path = join(files.folder, "audit.log");
  const text = `http: { port: 0 }
grpc: { port: 0 }
overload: { enabled: false } # A busy machine is no reason to refuse calls here.
telemetry: { metrics: { port: 0 }, log: { level: warn } }
access:
  default: public
  rules:
    ${library}/ListBooks: { audit: true, resource: parent }
audit: { destination: ${path}, rpc: ["${library}/ListShelves"]${more} }
`;
  return { files, path, config: await files.write("config.yaml", text) };
}

const recordsOf = (path: string): AuditRecord[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditRecord);

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 10));
}

suite("a program with an audit log", () => {
  test("has records of start, calls, reloads and stop, over several files (D1, D3)", async () => {
    await using files = await TemporaryFiles.create();
    const { path, config } = await setup(files);
    await using program = new Program("test/programs/fixtures/app-program.ts", "--config", config);
    const http = `http://${await program.address("HTTP")}`;
    const metrics = await program.metrics();
    assert.equal((await curl(`${http}/v1/shelves/1/books`)).status, 200);
    assert.equal((await curl(`${http}/v1/shelves`)).status, 200);
    assert.equal((await curl(`${http}/v1/shelves/1`)).status, 200);
    const seen = recordsOf(path).map(({ event, rpc, resource, rule }) => [event, rpc, resource, rule]);
    assert.deepEqual(seen, [
      ["start", undefined, undefined, undefined],
      ["call", `${library}/ListBooks`, "shelves/1", `access.rules["${library}/ListBooks"]`],
      ["call", `${library}/ListShelves`, undefined, "access.default"],
    ]);

    renameSync(path, `${path}.1`);
    const text = readFileSync(config, "utf8");
    writeFileSync(config, text.replace("ListBooks", "GetBook").replace("parent", "name"));
    program.kill("SIGHUP");
    await until(
      () =>
        recordsOf(`${path}.1`).at(-1)?.event === "reload" &&
        statSync(path, { throwIfNoEntry: false }) !== undefined,
    );
    const reload = recordsOf(`${path}.1`).at(-1);
    assert.equal(reload?.decision, "allow");
    assert.match(reload?.resource ?? "", /access\.rules/);
    assert.equal((await curl(`${http}/v1/shelves/1/books`)).status, 200);
    assert.equal((await curl(`${http}/v1/shelves/1/books/1`)).status, 200);
    assert.deepEqual(
      recordsOf(path).map(({ rpc, resource }) => [rpc, resource]),
      [[`${library}/GetBook`, "shelves/1/books/1"]],
      "the rules of the reload mark rpcs",
    );

    writeFileSync(config, "htpp: {}\n");
    program.kill("SIGHUP");
    await until(() => recordsOf(path).at(-1)?.event === "reload");
    assert.equal(recordsOf(path).at(-1)?.decision, "deny");
    const page = (await curl(metrics)).body;
    assert.match(page, /^ts_ms_audit_records_total\{result="written"\} 6$/m);

    assert.equal((await program.stop()).code, 0, program.errors);
    assert.equal(recordsOf(path).at(-1)?.event, "stop");
    const first = await verifyAudit(`${path}.1`);
    const second = await verifyAudit(path, { after: first.to });
    assert.deepEqual([first.broken, second.broken], [undefined, undefined]);
    assert.equal(first.records + second.records, 7);
  });

  test("L04: on a full disk marked rpcs are 503 and others 200; then records and their chain go on", async () => {
    await using files = await TemporaryFiles.create();
    const { path, config } = await setup(files);
    await using program = new Program("test/programs/fixtures/app-program.ts", "--config", config);
    const http = `http://${await program.address("HTTP")}`;
    const status = async (target: string): Promise<number> => (await curl(`${http}${target}`)).status;
    assert.equal(await status("/v1/shelves"), 200);
    const limit = (bytes: number | string): void =>
      void execFileSync("prlimit", ["--pid", String(program.pid), `--fsize=${bytes}:unlimited`]);

    // The next record fits in part.
    limit(statSync(path).size + 100);
    for (let i = 0; i < 3; i++) {
      assert.equal(await status("/v1/shelves"), 503);
      assert.equal(await status("/v1/shelves/1"), 200);
    }
    assert.equal(readFileSync(path, "utf8").endsWith("}\n"), true, "nothing is left in part");
    await program.error(/audit records cannot be written/);

    limit("unlimited");
    assert.equal(await status("/v1/shelves"), 200);
    const [gap, call] = recordsOf(path).slice(-2);
    assert.deepEqual([gap?.event, call?.event, call?.code], ["gap", "call", "OK"]);
    assert.ok((gap?.lost ?? 0) >= 3, "the gap says how many records are missing");
    await program.error(/audit records are written again/);
    assert.deepEqual((await verifyAudit(path)).broken, undefined);

    const text = readFileSync(path, "utf8");
    const changed = await files.write("changed.log", text.replace("ListShelves", "ListShelvez"));
    assert.deepEqual((await verifyAudit(changed)).broken, { line: 2, problem: "was changed" });
  });

  test("L04: the record of a call is there when the process is killed before its answer", async () => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "audit.log");
    await using program = new Program("test/programs/fixtures/audited-program.ts", path);
    const transport = dial(await program.address("GRPC"));
    await assert.rejects(async () => createClient(VaultService, transport).peek({}));
    assert.equal((await program.exit()).signal, "SIGKILL");
    transport.close();
    const { event, rpc, code } = recordsOf(path).at(-1) ?? assert.fail();
    assert.deepEqual([event, rpc, code], ["call", "tsms.test.v1.VaultService/Peek", "OK"]);
    assert.deepEqual((await verifyAudit(path)).broken, undefined);
  });

  test("mistakes are told at the start, with their place", async () => {
    await using files = await TemporaryFiles.create();
    const other = await files.write("other.txt", "hello\n");
    const rows: readonly (readonly [string, RegExp])[] = [
      [
        `{ destination: ${other} }`,
        /config\.yaml:3: audit\.destination: .*other\.txt does not end with a record/,
      ],
      [`{ destination: a.log, rpc: [x/y/z] }`, /config\.yaml:3: audit\.rpc: selector "x\/y\/z"/],
      [
        `{ destination: a.log, rpc: [x.v1.Y/Z] }`,
        /config\.yaml:3: audit\.rpc: no service has the rpc x\.v1\.Y\.Z/,
      ],
    ];
    for (const [audit, problem] of rows) {
      const text = `http: { port: 0 }\ngrpc: { port: 0 }\naudit: ${audit}\ntelemetry: { metrics: { port: "off" } }\n`;
      const config = await files.write("config.yaml", text);
      await using program = new Program("test/programs/fixtures/app-program.ts", "--config", config);
      assert.equal((await program.exit()).code, 2);
      assert.match(program.errors, problem);
    }
  });
});
