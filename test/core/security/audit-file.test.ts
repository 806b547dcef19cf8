/** The file of an audit log: its chain, what breaks it, and how it goes on. */
import { strict as assert } from "node:assert";
import { appendFileSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { AuditFile } from "../../../src/core/security/audit/audit-file.ts";
import {
  chainStart,
  type AuditEntry,
  type AuditRecord,
} from "../../../src/core/security/audit/audit-record.ts";
import { SampledClients } from "../../../src/core/security/audit/sampled-clients.ts";
import { verifyAudit } from "../../../src/core/security/audit/verify-audit.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";

const quiet = { failed() {}, recovered() {} };

/** A file with so many records. */
function written(path: string, count: number): AuditFile {
  const file = new AuditFile(path, quiet);
  for (let i = 1; i <= count; i++) assert.ok(file.append({ event: "call", principal: `user-${i}` }));
  return file;
}

const linesOf = (path: string): string[] => readFileSync(path, "utf8").split("\n").slice(0, -1);

suite("the chain of an audit log (D1, D3)", () => {
  test("each record has its number and the hash of the one before", async () => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "audit.log");
    const file = written(path, 3);
    const records = linesOf(path).map((line) => JSON.parse(line) as AuditRecord);
    assert.deepEqual(
      records.map(({ seq, principal }) => [seq, principal]),
      [1, 2, 3].map((seq) => [seq, `user-${seq}`]),
    );
    const hashes = [chainStart.hash, ...records.map(({ hash }) => hash)];
    assert.deepEqual(
      records.map(({ prev }) => prev),
      hashes.slice(0, 3),
    );
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(await verifyAudit(path), {
      records: 3,
      from: chainStart.hash,
      to: file.end,
      broken: undefined,
    });
    file.close();
  });

  const changes: readonly (readonly [string, (lines: string[]) => string[], number, string])[] = [
    ["a member", (lines) => lines.with(1, (lines[1] ?? "").replace("user-2", "user-9")), 2, "was changed"],
    [
      "a hash",
      (lines) => lines.with(1, (lines[1] ?? "").replace(/"hash":"./, '"hash":"x')),
      2,
      "is no record",
    ],
    ["a line that is missing", (lines) => lines.toSpliced(1, 1), 2, "does not follow the record before"],
    [
      "two lines that changed places",
      ([a = "", b = "", ...more]) => [b, a, ...more],
      2,
      "does not follow the record before",
    ],
    [
      "a line twice",
      (lines) => lines.toSpliced(1, 0, lines[1] ?? ""),
      3,
      "does not follow the record before",
    ],
    ["another line between", (lines) => lines.toSpliced(2, 0, "{}"), 3, "is no record"],
    ["an empty line", (lines) => lines.toSpliced(3, 0, ""), 4, "is no record"],
  ];
  for (const [what, change, line, problem] of changes) {
    test(`verifyAudit names the first broken line: ${what}`, async () => {
      await using files = await TemporaryFiles.create();
      const path = join(files.folder, "audit.log");
      written(path, 5).close();
      writeFileSync(path, `${change(linesOf(path)).join("\n")}\n`);
      const { broken, records } = await verifyAudit(path);
      assert.deepEqual([broken, records], [{ line, problem }, line - 1]);
    });
  }

  test("texts with any character are one line", async () => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "audit.log");
    const file = new AuditFile(path, quiet);
    const texts = ["\n", "\r\n", "\u2028", '"hash":"', "\ud800", "ü".repeat(5_000)];
    for (const resource of texts) file.append({ event: "call", resource });
    file.close();
    assert.equal(linesOf(path).length, texts.length);
    assert.deepEqual((await verifyAudit(path)).broken, undefined);
    new AuditFile(path, quiet).close();
  });

  test("a new file begins with the last hash of the one before", async () => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "audit.log");
    const file = written(path, 2);
    renameSync(path, `${path}.1`);
    file.append({ event: "call" }); // Into the file that was moved.
    file.reopen();
    file.append({ event: "call" });
    file.close();
    const before = await verifyAudit(`${path}.1`);
    const after = await verifyAudit(path, { after: before.to });
    assert.deepEqual([before.records, after.records, after.broken], [3, 1, undefined]);
    assert.equal(after.from, before.to.hash);
    assert.equal(after.to.seq, 4);
    const other = await verifyAudit(path, { after: chainStart });
    assert.deepEqual(other.broken, { line: 1, problem: "does not follow the record before" });
  });

  test("a file is gone on with, behind a record that was written in part", async () => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "audit.log");
    written(path, 2).close();
    for (const part of ["{", '{"time":"2026', linesOf(path)[1] ?? ""]) {
      appendFileSync(path, part);
      const file = new AuditFile(path, quiet);
      file.append({ event: "call" });
      file.close();
    }
    const { records, broken, to } = await verifyAudit(path);
    assert.deepEqual([records, broken, to.seq], [5, undefined, 5]);
  });

  test("a file of something else is left alone", async () => {
    await using files = await TemporaryFiles.create();
    for (const text of ["hello", "hello\n", '{"a":1}\n', "\n"]) {
      const path = await files.write("other.txt", text);
      assert.throws(() => new AuditFile(path, quiet), /other\.txt does not end with a record/);
      assert.equal(readFileSync(path, "utf8"), text);
    }
    const path = join(files.folder, "audit.log");
    written(path, 2).close();
    truncateSync(path, statSync(path).size - 3);
    new AuditFile(path, quiet).close();
    assert.throws(() => new AuditFile(join(files.folder, "no", "such"), quiet), /cannot be opened: ENOENT/);
  });

  test("on a full disk nothing is in part, and a gap says how many are missing", async () => {
    const lost: (number | string)[] = [];
    const file = new AuditFile("/dev/full", {
      failed: (error) => lost.push(String((error as { readonly code?: string }).code)),
      recovered: (count) => lost.push(count),
    });
    const entry: AuditEntry = { event: "call" };
    assert.deepEqual([file.append(entry), file.append(entry), file.recover()], [false, false, false]);
    assert.deepEqual([file.isFailing, file.end, lost], [true, chainStart, ["ENOSPC"]]);
    file.close();
  });
});

test("ten refusals of a client in a second are let through, and ten of another", () => {
  const clients = new SampledClients(10);
  const taken = (client: string, atMs: number): number =>
    Array.from({ length: 100 }, () => clients.takes(client, atMs)).filter(Boolean).length;
  assert.deepEqual([taken("a", 0), taken("b", 0), taken("a", 999), taken("a", 1_000)], [10, 10, 0, 10]);
  for (let i = 0; i < 20_000; i++) clients.takes(`client-${i}`, 2_000);
  assert.equal(taken("late", 2_000), 0, "clients beyond the number that is told apart count as one");
});
