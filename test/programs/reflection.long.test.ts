import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  create,
  createFileRegistry,
  fromBinary,
  toBinary,
  type DescService,
  type FileRegistry,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  ErrorResponseSchema,
  FileDescriptorResponseSchema,
  ListServiceResponseSchema,
  ServerReflection as ReflectionV1,
  type ServerReflectionResponse,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { reflectionSource } from "../../src/entries/schema.ts";
import { Code, ConnectError, dial, GrpcServer, service, type ServiceImpl } from "../../src/index.ts";
import { curl, curlJson, Program, run } from "../support/program.ts";

const sources = {
  "extra.proto": `
    syntax = "proto3"; package extra;
    import "google/protobuf/descriptor.proto";
    extend google.protobuf.FieldOptions { string note = 50001; }
    message Extra { string text = 1; }`,
  "shop.proto": `
    syntax = "proto3"; package shop.v1;
    import "extra.proto"; import "google/api/annotations.proto";
    service Shop { rpc Get(Item) returns (Item) { option (google.api.http) = {get: "/shop/{id}"}; } }
    message Item { string id = 1 [(extra.note) = "only an option"]; }`,
  "plain.proto": `
    syntax = "proto3"; package plain.v1;
    import "google/api/annotations.proto";
    service Plain { rpc Get(Item) returns (Item) { option (google.api.http) = {get: "/plain/{id}"}; } }
    message Item { string id = 1; }`,
  "needs.proto": `
    syntax = "proto3"; package needs.v1;
    import "extra.proto"; import "google/api/annotations.proto";
    service Needs { rpc Get(Deep) returns (Deep) { option (google.api.http) = {get: "/needs/{id}"}; } }
    service Neighbour { rpc Get(Item) returns (Item) { option (google.api.http) = {get: "/neighbour/{id}"}; } }
    message Deep { string id = 1; map<string, Holder> holders = 2; }
    message Holder { repeated extra.Extra extras = 1; }
    message Item { string id = 1; }`,
};

const folder = mkdtempSync(join(tmpdir(), "ts-ms-reflection-"));
let registry: FileRegistry;
let files: ReadonlyMap<string, Uint8Array>;

before(async () => {
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, "buf.yaml"), JSON.stringify({ version: "v2", modules: [{ path: "." }] }));
  for (const name of ["annotations", "http"]) {
    const path = join(folder, `google/api/${name}.proto`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, readFileSync(join(import.meta.dirname, `../../proto/google/api/${name}.proto`)));
  }
  const set = join(folder, "set.binpb");
  const { code, stderr } = await run("buf", "build", folder, "-o", set);
  assert.equal(code, 0, stderr);
  const decoded = fromBinary(FileDescriptorSetSchema, readFileSync(set));
  registry = createFileRegistry(decoded);
  files = new Map(decoded.file.map((file) => [file.name, toBinary(FileDescriptorProtoSchema, file)]));
});
after(() => rmSync(folder, { recursive: true }));

/** What a reflection server says instead of the truth. */
interface Flaws {
  readonly listed: readonly string[];
  /** Files that it does not have. */
  readonly missing?: readonly string[];
  /** Bytes of a file, by its name. */
  readonly bytes?: Readonly<Record<string, Uint8Array>>;
  /** Whether it ends the stream over a question that it has no answer to. */
  readonly ends?: boolean;
  readonly version?: typeof ReflectionV1 | typeof ReflectionV1Alpha;
}

/** A server whose rpcs give back what they get, with reflection that has flaws. */
async function flawed({ listed, missing = [], bytes = {}, ends, version = ReflectionV1 }: Flaws) {
  const asked: string[] = [];
  const answer = (name: string | undefined): ServerReflectionResponse["messageResponse"] => {
    const file = name === undefined || missing.includes(name) ? undefined : (bytes[name] ?? files.get(name));
    if (file !== undefined) {
      const value = create(FileDescriptorResponseSchema, { fileDescriptorProto: [file] });
      return { case: "fileDescriptorResponse", value };
    }
    if (ends === true) throw new ConnectError("File not found", Code.NotFound);
    const value = create(ErrorResponseSchema, { errorCode: Code.NotFound, errorMessage: "File not found" });
    return { case: "errorResponse", value };
  };
  // Both versions have the same messages but for the package.
  const reflection = service(version as typeof ReflectionV1, {
    async *serverReflectionInfo(requests) {
      for await (const { messageRequest } of requests) {
        if (messageRequest.case === "listServices") {
          const list = listed.map((name) => ({ name }));
          const value = create(ListServiceResponseSchema, { service: list });
          yield { messageResponse: { case: "listServicesResponse", value } };
          continue;
        }
        assert.ok(messageRequest.case === "fileContainingSymbol" || messageRequest.case === "fileByFilename");
        const { value } = messageRequest;
        asked.push(value);
        const name =
          messageRequest.case === "fileByFilename" ? value : registry.getService(value)?.file.proto.name;
        yield { messageResponse: answer(name) };
      }
    },
  });
  const server = new GrpcServer({ port: 0, reflection: false }).addService(reflection);
  for (const desc of registry) {
    if (desc.kind !== "service") continue;
    const same = { get: (message: object) => message };
    server.addService(service(desc, same as unknown as ServiceImpl<DescService>)); // Known at run time only.
  }
  await server.start();
  return {
    asked,
    port: server.address?.port ?? 0,
    async [Symbol.asyncDispose]() {
      await server.gracefulStop({ graceMs: 0 });
    },
  };
}

const listen = ["--http-port=0", "--exporter-port=off"];

/** The gateway in front of it, as a program. */
const gatewayOf = (port: number, ...flags: string[]) =>
  new Program("examples/http-only.ts", ...listen, `--grpc-port=${port}`, "--reflection", ...flags);

const all = ["shop.v1.Shop", "plain.v1.Plain", "needs.v1.Needs", "needs.v1.Neighbour"];

for (const version of [ReflectionV1, ReflectionV1Alpha]) {
  test(`what ${version.typeName} can describe is served, with one warning for each service that it cannot`, async () => {
    const listed = ["grpc.health.v1.Health", "ghost.v1.Ghost", ...all];
    await using upstream = await flawed({ listed, missing: ["extra.proto"], version });
    await using gateway = gatewayOf(upstream.port);
    await gateway.line(/→ needs\.v1\.Neighbour\/Get$/);
    const http = `http://${await gateway.address("HTTP")}`;
    for (const path of ["shop", "plain", "neighbour"]) {
      assert.deepEqual(await curlJson(`${http}/${path}/1`), [200, { id: "1" }]);
    }
    assert.equal((await curl(`${http}/needs/1`)).status, 404);
    await gateway.error(
      /ghost\.v1\.Ghost is left out: the server has no file of it \(NotFound: File not found\)/,
    );
    await gateway.error(
      /needs\.v1\.Needs is left out: it needs extra\.Extra, and the server does not give extra\.proto \(NotFound: /,
    );
    assert.equal(gateway.errors.match(/is left out/g)?.length, 2);
    assert.doesNotMatch(gateway.errors, /^\s+at |Health/m);
  });
}

test("--service asks the server for these services alone", async () => {
  await using upstream = await flawed({ listed: ["ghost.v1.Ghost", ...all], missing: ["extra.proto"] });
  await using gateway = gatewayOf(upstream.port, "--service=plain.v1.Plain");
  await gateway.line(/→ plain\.v1\.Plain\/Get$/);
  const http = `http://${await gateway.address("HTTP")}`;
  assert.deepEqual(await curlJson(`${http}/plain/1`), [200, { id: "1" }]);
  assert.deepEqual(upstream.asked, ["plain.v1.Plain"]);
  assert.doesNotMatch(gateway.errors, /left out/);
});

describe("a flaw of one service is its own", () => {
  const flaws: readonly [name: string, flaws: () => Omit<Flaws, "listed">, reason: RegExp][] = [
    [
      "the server ends the stream",
      () => ({ missing: ["shop.proto"], ends: true }),
      /no file of it \(NotFound: File not/,
    ],
    [
      "the file is no descriptor",
      () => ({ bytes: { "shop.proto": Uint8Array.of(0x0a, 99) } }),
      /is no google\.protobuf/,
    ],
    [
      "the answer is another file",
      () => ({ bytes: { "shop.proto": files.get("plain.proto") ?? assert.fail() } }),
      /does not define it/,
    ],
    [
      "the file imports itself",
      () => {
        const file = fromBinary(FileDescriptorProtoSchema, files.get("shop.proto") ?? assert.fail());
        file.dependency.push("shop.proto");
        return { bytes: { "shop.proto": toBinary(FileDescriptorProtoSchema, file) } };
      },
      /in a circle: shop\.proto → shop\.proto/,
    ],
  ];
  for (const [name, flaw, reason] of flaws) {
    test(name, async (t) => {
      await using upstream = await flawed({ listed: all, ...flaw() });
      const transport = dial(`127.0.0.1:${upstream.port}`);
      t.after(() => transport.close());
      const { services, warnings = [] } = await reflectionSource(transport).load(
        new AbortController().signal,
      );
      assert.deepEqual(
        services.map(({ typeName }) => typeName),
        all.slice(1),
      );
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? "", /^server reflection: shop\.v1\.Shop is left out: /);
      assert.match(warnings[0] ?? "", reason);
    });
  }
});

test("when nothing can be described the reasons are logged without a stack", async () => {
  await using upstream = await flawed({ listed: ["ghost.v1.Ghost"] });
  await using gateway = gatewayOf(upstream.port);
  await gateway.error(/ghost\.v1\.Ghost is left out: the server has no file of it.*no contracts yet/);
  assert.doesNotMatch(gateway.errors, /"stack"|\\n\s+at /);
});
