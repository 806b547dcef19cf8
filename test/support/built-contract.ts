import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { DescEnum, DescMessage, DescService, FileRegistry } from "@bufbuild/protobuf";
import { readFileSet } from "../../src/core/schema/file-set.ts";

const root = join(import.meta.dirname, "../..");

/** A contract as `buf build` makes it. */
export interface BuiltContract {
  readonly registry: FileRegistry;
  /** The descriptor set, with comments. */
  readonly image: Uint8Array;
  /** The services, messages and enums of its own files, in the order of these. */
  readonly services: readonly DescService[];
  readonly types: readonly (DescMessage | DescEnum)[];
}

/** Builds a contract of some files, which may import those of `google/api`, `google/rpc`, `buf/validate` and `ts_ms/v1`. */
export function builtContract(files: Readonly<Record<string, string>>): BuiltContract {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-built-"));
  try {
    for (const path of ["google/api", "google/rpc", "buf/validate", "ts_ms/v1"]) {
      cpSync(join(root, "proto", path), join(folder, path), { recursive: true });
    }
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    writeFileSync(join(folder, "buf.yaml"), JSON.stringify({ version: "v2", modules: [{ path: "." }] }));
    const image = join(folder, "image.binpb");
    const paths = Object.keys(files).flatMap((path) => ["--path", path]);
    execFileSync(join(root, "node_modules/.bin/buf"), ["build", "-o", image, ...paths], { cwd: folder });
    const bytes = readFileSync(image);
    return contractOfImage(bytes, new Set(Object.keys(files)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function contractOfImage(image: Uint8Array, own: ReadonlySet<string>): BuiltContract {
  const registry = readFileSet(image, "image.binpb");
  const all = [...registry].filter((desc) => own.has(desc.file.proto.name));
  return {
    registry,
    image,
    services: all.filter((desc) => desc.kind === "service"),
    types: all.filter((desc) => desc.kind === "message" || desc.kind === "enum"),
  };
}
