import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { connect } from "node:http2";
import { promisify } from "node:util";
import { create, createFileRegistry, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { file_google_api_annotations } from "../../../gen/google/api/annotations_pb.ts";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { file_tsms_test_v1_echo } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { frame, post } from "../../support/running-grpc.ts";

type Ask = MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"];

const server = new GrpcServer({ port: 0 }).addService(new Echo());
await server.start();
const baseUrl = `http://127.0.0.1:${server.address?.port}`;
const sessionManager = new Http2SessionManager(baseUrl);
const transport = createGrpcTransport({ baseUrl, sessionManager });
const clients = {
  v1: createClient(ServerReflection, transport),
  // Same messages under another name.
  v1alpha: createClient(ServerReflectionAlpha, transport) as unknown as Client<typeof ServerReflection>,
};
test.after(async () => {
  sessionManager.abort();
  await server.gracefulStop({ graceMs: 0 });
});

async function ask(
  client: Client<typeof ServerReflection>,
  messageRequest: Ask,
): Promise<ServerReflectionResponse> {
  async function* requests() {
    yield create(ServerReflectionRequestSchema, { host: "h", messageRequest } as MessageInitShape<
      typeof ServerReflectionRequestSchema
    >); // A oneof loses its union on the way through a parameter.
  }
  for await (const response of client.serverReflectionInfo(requests())) return response;
  assert.fail("no response");
}

function filesOf({ messageResponse }: ServerReflectionResponse): readonly Uint8Array[] {
  assert.equal(messageResponse.case, "fileDescriptorResponse", JSON.stringify(messageResponse.value));
  return messageResponse.case === "fileDescriptorResponse" ? messageResponse.value.fileDescriptorProto : [];
}

const namesOf = (response: ServerReflectionResponse): string[] =>
  filesOf(response).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);

for (const [version, client] of Object.entries(clients)) {
  test(`G25: ${version} lists every service, itself and health included`, async () => {
    const { messageResponse, validHost, originalRequest } = await ask(client, {
      case: "listServices",
      value: "*",
    });
    assert.equal(validHost, "h");
    assert.equal(originalRequest?.messageRequest.case, "listServices");
    assert.equal(messageResponse.case, "listServicesResponse");
    assert.deepEqual(
      messageResponse.case === "listServicesResponse" &&
        messageResponse.value.service.map(({ name }) => name),
      [
        "tsms.test.v1.EchoService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
      ],
    );
  });

  test(`G25: ${version} finds the file of every kind of symbol`, async () => {
    const symbols = {
      "tsms.test.v1.EchoService": "tsms/test/v1/echo.proto",
      "tsms.test.v1.EchoService.Echo": "tsms/test/v1/echo.proto",
      "tsms.test.v1.EchoRequest": "tsms/test/v1/echo.proto",
      "tsms.test.v1.EchoRequest.text": "tsms/test/v1/echo.proto",
      "grpc.health.v1.HealthCheckResponse.ServingStatus": "grpc/health/v1/health.proto",
      "grpc.health.v1.HealthCheckResponse.SERVING": "grpc/health/v1/health.proto",
      "grpc.reflection.v1.ServerReflectionRequest.message_request": "grpc/reflection/v1/reflection.proto",
      "google.api.http": "google/api/annotations.proto",
      "google.protobuf.MethodOptions": "google/protobuf/descriptor.proto",
    };
    for (const [symbol, file] of Object.entries(symbols)) {
      assert.equal(
        namesOf(await ask(client, { case: "fileContainingSymbol", value: symbol }))[0],
        file,
        symbol,
      );
    }
  });

  test(`G25: ${version} answers what is unknown with NOT_FOUND inside the stream`, async () => {
    const asks: Ask[] = [
      { case: "fileContainingSymbol", value: "no.such.Symbol" },
      { case: "fileByFilename", value: "no/such/file.proto" },
      {
        case: "fileContainingExtension",
        value: { containingType: "google.protobuf.MethodOptions", extensionNumber: 1 },
      },
      { case: "allExtensionNumbersOfType", value: "no.such.Message" },
    ];
    for (const one of asks) {
      const { messageResponse } = await ask(client, one);
      assert.equal(
        messageResponse.case === "errorResponse" && messageResponse.value.errorCode,
        Code.NotFound,
      );
    }
  });
}

test("G25: a file comes with everything it imports, in the bytes of its descriptor", async () => {
  const files = filesOf(await ask(clients.v1, { case: "fileByFilename", value: "tsms/test/v1/echo.proto" }));
  const expected = toBinary(FileDescriptorProtoSchema, file_tsms_test_v1_echo.proto);
  assert.deepEqual(files[0], expected);
  const registry = createFileRegistry({
    $typeName: FileDescriptorSetSchema.typeName,
    file: files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)).reverse(), // Imports first.
  });
  assert.ok(registry.getService("tsms.test.v1.EchoService"));
  assert.ok(registry.getExtension("google.api.http"));
});

test("G25: extensions are found by number", async () => {
  const containingType = "google.protobuf.MethodOptions";
  const number = file_google_api_annotations.extensions[0]?.number ?? assert.fail("no extension");
  const value = { containingType, extensionNumber: number };
  assert.equal(
    namesOf(await ask(clients.v1, { case: "fileContainingExtension", value }))[0],
    "google/api/annotations.proto",
  );
  const { messageResponse } = await ask(clients.v1, {
    case: "allExtensionNumbersOfType",
    value: containingType,
  });
  assert.deepEqual(
    messageResponse.case === "allExtensionNumbersResponse" && messageResponse.value.extensionNumber,
    [number],
  );
});

test("G25: a thousand questions at once", async (t) => {
  const question = create(ServerReflectionRequestSchema, {
    messageRequest: { case: "fileContainingSymbol", value: "tsms.test.v1.EchoService" },
  });
  const body = [frame(toBinary(ServerReflectionRequestSchema, question))];
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const before = process.memoryUsage().rss;
  const connections = Array.from({ length: 10 }, () => connect(baseUrl));
  t.after(() => connections.forEach((connection) => connection.destroy()));
  const all = await Promise.all(
    connections.flatMap((connection) =>
      Array.from({ length: 100 }, () => post(connection, { ":path": path }, body)),
    ),
  );
  for (const reply of all) {
    assert.equal(reply.status, 0);
    assert.ok(reply.body.length > 1000);
  }
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 256 * 1024 * 1024, `${grown} bytes more`); // Replies on both sides of the sockets included.
});

test("G25: services that are added later are found", async (t) => {
  const late = new GrpcServer({ port: 0 });
  await late.start();
  t.after(() => late.gracefulStop({ graceMs: 0 }));
  const manager = new Http2SessionManager(`http://127.0.0.1:${late.address?.port}`);
  t.after(() => manager.abort());
  const client = createClient(
    ServerReflection,
    createGrpcTransport({ baseUrl: manager.authority, sessionManager: manager }),
  );
  const one: Ask = { case: "fileContainingSymbol", value: "tsms.test.v1.EchoService" };
  assert.equal((await ask(client, one)).messageResponse.case, "errorResponse");
  late.addService(new Echo());
  assert.equal((await ask(client, one)).messageResponse.case, "fileDescriptorResponse");
});

test("G25: reflection can be switched off", async (t) => {
  const without = new GrpcServer({ port: 0, reflection: false });
  await without.start();
  t.after(() => without.gracefulStop({ graceMs: 0 }));
  const manager = new Http2SessionManager(`http://127.0.0.1:${without.address?.port}`);
  t.after(() => manager.abort());
  const off = createGrpcTransport({ baseUrl: manager.authority, sessionManager: manager });
  const error = await ask(createClient(ServerReflection, off), { case: "listServices", value: "" }).then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error?.code, Code.Unimplemented);
});

test("G25: buf curl lists and calls without the contract", async () => {
  const buf = join(
    dirname(createRequire(import.meta.url).resolve("@bufbuild/buf/package.json")),
    "bin",
    "buf",
  );
  const run = async (...args: string[]) => {
    const common = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
    return (await promisify(execFile)(process.execPath, [buf, ...common, ...args], { timeout: 60_000 }))
      .stdout;
  };
  assert.match(await run("--list-services", baseUrl), /^tsms\.test\.v1\.EchoService$/m);
  const reply = await run("-d", '{"text":"hello"}', `${baseUrl}/tsms.test.v1.EchoService/Echo`);
  assert.match(reply, /"text":\s*"hello"/);
});
