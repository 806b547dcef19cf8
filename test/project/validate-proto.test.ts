import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { DescFile } from "@bufbuild/protobuf";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { loadProtoSources } from "../../src/core/schema/proto-sources.ts";

test("the rules that users import are those that the validator knows", () => {
  const proto = join(import.meta.dirname, "../../proto");
  const ours: DescFile | undefined = loadProtoSources(["buf/validate/validate.proto"], [proto]).getFile(
    "buf/validate/validate.proto",
  );
  assert.ok(ours !== undefined);
  const namesOf = (file: DescFile) =>
    [...file.messages, ...file.enums].map((type) => [
      type.typeName,
      type.kind === "message"
        ? type.fields.map(({ name, number }) => [name, number])
        : type.values.map(({ name, number }) => [name, number]),
    ]);
  assert.deepEqual(namesOf(ours), namesOf(file_buf_validate_validate));
  const extensions = (file: DescFile) =>
    file.extensions.map(({ typeName, number, extendee }) => [typeName, number, extendee.typeName]);
  assert.deepEqual(extensions(ours), extensions(file_buf_validate_validate));
});
