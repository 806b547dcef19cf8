/** The licence texts of the packages that a bundle contains. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Text with name, version and licence of every package inside.
 *
 * @param root Folder to which the paths are relative.
 * @param inputs Paths of the bundled files, as esbuild's metafile names them.
 * @throws Error for a package without a licence text, or whose text stands at one that is not inside.
 */
export function licenceNotices(root, inputs) {
  const folders = new Set(
    inputs.filter((path) => path.includes("node_modules/")).map((path) => packageOf(root, path)),
  );
  const notices = [...folders].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const [file] = globSync("{LICENSE,LICENCE,license,licence,COPYING}*", { cwd: folder });
    const text = file === undefined ? withoutFile[name] : readFileSync(join(folder, file), "utf8");
    if (text === undefined) throw new Error(`${name} ${version} has no licence text`);
    return { title: `${name} ${version}, ${license.replace(/^\(|\)$/g, "")}`, text: text.trim() };
  });
  const names = new Set(notices.map(({ title }) => title.replace(/ .*/, "")));
  for (const { title, text } of notices) {
    for (const [, name] of text.matchAll(/whose\s+text\s+stands\s+at\s+(\S+?)[.,]?(?=\s|$)/g)) {
      if (!names.has(name)) throw new Error(`${title}: the text at ${name} is not inside`);
    }
  }
  const line = "-".repeat(80);
  return notices
    .toSorted((a, b) => a.title.localeCompare(b.title, "en"))
    .map(({ title, text }) => `${line}\n${title}\n${line}\n\n${text}\n`)
    .join("\n");
}

/** The folder of the package that a file belongs to: the next one above with a manifest that has a version. */
function packageOf(root, path) {
  for (let folder = dirname(join(root, path)); ; folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest) && "version" in JSON.parse(readFileSync(manifest, "utf8"))) return folder;
    if (dirname(folder) === folder) throw new Error(`${path} belongs to no package`);
  }
}

const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

/** Notices of packages that ship no licence text; the long ones stand with another package inside. */
const withoutFile = {
  "@bufbuild/cel": `Copyright 2024-2026 Buf Technologies, Inc.

Licensed under the Apache License, Version 2.0, whose text stands at @grpc/proto-loader.`,
  "@bufbuild/cel-spec": `Copyright 2024-2026 Buf Technologies, Inc.

Licensed under the Apache License, Version 2.0, whose text stands at @grpc/proto-loader.`,
  "@bufbuild/protovalidate": `Copyright 2024-2026 Buf Technologies, Inc.

Licensed under the Apache License, Version 2.0, whose text stands at @grpc/proto-loader.`,
  "@redis/client": `Copyright (c) 2022-2026, Redis, inc.

${mit}`,
  "@bufbuild/protobuf": `Copyright 2021-2026 Buf Technologies, Inc.

Licensed under the Apache License, Version 2.0, whose text stands at @grpc/proto-loader. Parts that come from Google's
protobuf are Copyright 2008 Google Inc., under the 3-clause BSD license, whose text stands at protobufjs.`,
  "@connectrpc/connect": `Copyright 2021-2026 The Connect Authors

Licensed under the Apache License, Version 2.0, whose text stands at @grpc/proto-loader.`,
  "abstract-logging": `Copyright (c) James Sumners\n\n${mit}`,
};
