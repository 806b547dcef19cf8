import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

/** The tool, which has no types. */
interface Notices {
  readonly licenceNotices: (root: string, inputs: readonly string[]) => string;
}

const tool = join(import.meta.dirname, "../../tools/notices.js");
const { licenceNotices } = (await import(tool)) as Notices;

test("every package inside a file has its licence there, and one without a text fails the build", () => {
  const root = mkdtempSync(join(tmpdir(), "ts-ms-notices-"));
  const add = (name: string, files: Readonly<Record<string, string>>): string => {
    const folder = join(root, "node_modules", name);
    mkdirSync(join(folder, "lib"), { recursive: true });
    const manifest = JSON.stringify({ name, version: "1.2.3", license: "MIT" });
    for (const [file, text] of Object.entries({ "package.json": manifest, "lib/index.js": "", ...files })) {
      writeFileSync(join(folder, file), text);
    }
    return `node_modules/${name}/lib/index.js`;
  };
  try {
    // A manifest without a version only says how the files of a folder are read.
    const good = add("good", { LICENSE: "You may.", "lib/package.json": '{"type":"commonjs"}' });
    const scoped = add("@some/other", { "COPYING.md": "You may, too." });
    const text = licenceNotices(root, ["src/index.ts", good, good, scoped]);
    assert.deepEqual(
      [...text.matchAll(/^(\S+ 1\.2\.3, MIT)$/gm)].map(([, title]) => title),
      ["@some/other 1.2.3, MIT", "good 1.2.3, MIT"],
    );
    assert.ok(text.includes("You may.\n") && text.includes("You may, too.\n"));
    const bare = add("bare", {});
    assert.throws(() => licenceNotices(root, [good, bare]), /^Error: bare 1\.2\.3 has no licence text$/);
    const other = add("other", { LICENSE: "The licence, whose text stands at good." });
    assert.match(licenceNotices(root, [good, other]), /stands at good/);
    assert.throws(
      () => licenceNotices(root, [other]),
      /^Error: other 1\.2\.3, MIT: the text at good is not inside$/,
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});
