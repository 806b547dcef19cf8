import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";

/** What `tools/`, which has no types, offers. */
interface Bundler {
  bundleLibrary(outdir: string): Promise<unknown>;
}

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-library-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** The files that an entry loads at once, with itself, and the packages. */
function loadedBy(entry: string): {
  readonly files: readonly string[];
  readonly packages: readonly string[];
} {
  const files = new Set([join(scratch, "src", entry)]);
  const packages = new Set<string>();
  for (const file of files) {
    const lines = /^(?:import|export)\b[^"';]*?(?:from )?"([^"]+)";$/gm;
    for (const [, path = ""] of readFileSync(file, "utf8").matchAll(lines)) {
      if (path.startsWith(".")) files.add(join(dirname(file), path));
      else if (!path.startsWith("node:")) packages.add(path);
    }
  }
  return { files: [...files], packages: [...packages].toSorted() };
}

test("an entry of the library is few files, and brings no package that it does not need", async () => {
  const bundler = (await import(join(root, "tools/bundle.js"))) as Bundler;
  await bundler.bundleLibrary(scratch);
  const index = loadedBy("index.js");
  assert.ok(index.files.length <= 40, `${index.files.length} files`);
  const protobuf = ["", "/codegenv2", "/reflect", "/wire", "/wkt"].map((path) => `@bufbuild/protobuf${path}`);
  assert.deepEqual(index.packages, protobuf);
  for (const [entry, kilobytes] of [
    ["errors.js", 8],
    ["workers.js", 24],
    ["hub-client.js", 50],
    ["rest.js", 85],
  ] as const) {
    const { files } = loadedBy(`entries/${entry}`);
    const bytes = files.reduce((sum, file) => sum + readFileSync(file).length, 0);
    assert.ok(bytes <= kilobytes * 1_000, `${entry}: ${bytes} bytes`);
  }
  const texts = index.files.map((file) => readFileSync(file, "utf8"));
  assert.ok(!texts.some((text) => text.includes(scratch)), "no path of this machine");
});
