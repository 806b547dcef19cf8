import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createRegistry, type DescService } from "@bufbuild/protobuf";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { service } from "../../../src/core/call/service.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";

const root = join(import.meta.dirname, "../../..");
const library = join(root, "node_modules/@bufbuild/protobuf");
const { version } = JSON.parse(readFileSync(join(library, "package.json"), "utf8")) as { version: string };
// Node knows the real paths of modules.
const scratch = realpathSync(mkdtempSync(join(tmpdir(), "ts-ms copies (a)-")));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A project with a copy of the library that says it is of another version, and the generated code that uses it. */
async function projectWith(
  copyVersion: string,
): Promise<{ readonly copy: string; readonly descriptor: DescService }> {
  const project = join(scratch, copyVersion);
  const copy = join(project, "node_modules/@bufbuild/protobuf");
  cpSync(library, copy, { recursive: true });
  const manifest = readFileSync(join(copy, "package.json"), "utf8");
  writeFileSync(
    join(copy, "package.json"),
    manifest.replace(`"version": "${version}"`, `"version": "${copyVersion}"`),
  );
  cpSync(join(root, "gen"), join(project, "gen"), { recursive: true });
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  const { LibraryService } = (await import(join(project, "gen/library/v1/library_pb.ts"))) as {
    LibraryService: DescService;
  };
  return { copy, descriptor: LibraryService };
}

/** All ways to give TsMs a descriptor. */
const ways: Readonly<Record<string, (descriptor: DescService) => unknown>> = {
  "GrpcServer.addService": (descriptor) => new GrpcServer().addService(service(descriptor, {})),
  "HttpServer.addService": (descriptor) => new HttpServer({ upstream: "x:1" }).addService(descriptor),
  "HttpServer.replaceServices": (descriptor) =>
    new HttpServer({ upstream: "x:1" }).replaceServices([descriptor]),
  "the option registry": (descriptor) =>
    new HttpServer({ upstream: "x:1", registry: createRegistry(descriptor) }),
  createClient: (descriptor) => createClient(descriptor, dial("x:1")),
};

for (const other of ["2.16.0", "2.99.1", "3.0.0"]) {
  test(`generated code that uses version ${other} of @bufbuild/protobuf is refused with both places`, async () => {
    const { copy, descriptor } = await projectWith(other);
    for (const [way, give] of Object.entries(ways)) {
      const message =
        "library.v1.LibraryService comes from another version of @bufbuild/protobuf than the one of TsMs: " +
        `${other} in ${copy}, not ${version} in ${realpathSync(library)}. Use one copy for both: ` +
        `\`npm install @bufbuild/protobuf@^${version}\`, then \`npm dedupe\``;
      assert.throws(() => give(descriptor), { name: "TypeError", message }, way);
    }
  });
}

test("another copy of the same version is taken", async () => {
  const { descriptor } = await projectWith(version);
  for (const give of Object.values(ways)) give(descriptor);
});

test("what is no descriptor of protobuf-es 2 is refused in words", () => {
  const old = { typeName: "greeter.v1.GreeterService", methods: {} } as unknown as DescService; // As version 1 has it.
  for (const way of ["GrpcServer.addService", "HttpServer.addService", "createClient"]) {
    const message =
      "greeter.v1.GreeterService is no descriptor of a service, such as protoc-gen-es 2 generates";
    assert.throws(() => ways[way]?.(old), { name: "TypeError", message }, way);
  }
  const forgotten = {} as unknown as ReturnType<typeof service>;
  assert.throws(() => new GrpcServer().addService(forgotten), {
    name: "TypeError",
    message: "undefined is no descriptor of a service, such as protoc-gen-es 2 generates",
  });
});
