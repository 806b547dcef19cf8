/** Rule 4 of the faces: `.proto` sources and descriptor sets keep their comments. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { DescEnum, DescMessage, DescService, FileRegistry } from "@bufbuild/protobuf";
import { type Commented, Comments } from "../../../src/core/contract/comments.ts";
import { readFileSet } from "../../../src/core/schema/file-set.ts";
import { loadProtoSources } from "../../../src/core/schema/proto-sources.ts";
import { faceFlags, faceOptions, httpFlags, schemaFlags } from "../../../src/entries/flags.ts";
import { readCommandLine } from "../../../src/core/config/flags.ts";

const root = join(import.meta.dirname, "../../..");
const set = join(root, "gen/contract.binpb");

function membersOf(desc: DescMessage | DescEnum | DescService): readonly Commented[] {
  if (desc.kind === "service") return [desc, ...desc.methods];
  return desc.kind === "enum" ? [desc, ...desc.values] : [desc, ...desc.fields, ...desc.oneofs];
}

/** The comments of the elements of a package, by what they are. */
function commentsOf(registry: FileRegistry, comments: Comments): ReadonlyMap<string, string> {
  const all = [...registry].filter((desc) => desc.kind !== "extension");
  const own = all.filter(({ file }) => file.proto.name === "library/v1/library.proto");
  return new Map(
    own.flatMap((desc) => membersOf(desc).map((one) => [one.toString(), comments.of(one).text])),
  );
}

test("sources have the comments that buf finds in them", () => {
  const image = readFileSync(set);
  const built = commentsOf(readFileSet(image, "contract.binpb"), new Comments([image]));
  const ours = commentsOf(
    loadProtoSources(["library/v1/library.proto"], [join(root, "proto")]),
    new Comments(),
  );
  assert.ok(ours.size > 100);
  assert.deepEqual(Object.fromEntries(ours), Object.fromEntries(built));
});

test("the sets of --descriptors are read for comments too, before others", async () => {
  const group = { ...httpFlags, ...schemaFlags, ...faceFlags };
  const line = readCommandLine("p", group, ["--descriptors", set, "--comments", "package.json"]);
  assert.equal(line.kind, "run");
  assert.deepEqual((await faceOptions(line.flags)).comments, [set, "package.json"]);
});
