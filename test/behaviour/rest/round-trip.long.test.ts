import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  createRegistry,
  fromBinary,
  fromJsonString,
  toBinary,
  toJson,
  toJsonString,
  type DescService,
  type Message,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  file_google_protobuf_test_messages_proto3,
  TestAllTypesProto3Schema,
  type TestAllTypesProto3,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { GrpcServer, HttpServer, type PartialService } from "../../../src/index.ts";
import type { AnyService } from "../../../src/core/call/service.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";
import { mirrorService } from "../../support/mirror-service.ts";

const registry = createRegistry(file_google_protobuf_test_messages_proto3);
const grpc = new GrpcServer({ port: 0 });
const http = new HttpServer({ port: 0, upstream: grpc, dial: "network", registry });
const received: Message[] = [];
let url = "";

before(async () => {
  const descriptor = mirrorService();
  const reflect = (message: Message) => {
    received.push(message);
    return message;
  };
  const service: AnyService = { descriptor, ...{ reflect } };
  grpc.addService(service as PartialService<DescService>); // Its rpcs are known at run time only.
  http.addService(descriptor);
  await grpc.start();
  await http.start();
  url = `http://127.0.0.1:${http.address?.port}/mirror.Mirror/Reflect`;
});
after(async () => {
  await http.gracefulStop({ graceMs: 0 });
  await grpc.gracefulStop({ graceMs: 0 });
});

async function post(
  body: string | Uint8Array<ArrayBuffer>,
  type: string,
  accept: string,
): Promise<Uint8Array> {
  const headers = { "content-type": type, accept };
  const response = await fetch(url, { method: "POST", headers, body });
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.equal(response.status, 200, new TextDecoder().decode(bytes));
  return bytes;
}

/** Fails unless two messages are equal on the wire, where `float` fields have 32 bits. */
function assertSame(actual: Message, expected: Message, hint: string): void {
  const [a, b] = [actual, expected].map((message) =>
    fromBinary(TestAllTypesProto3Schema, toBinary(TestAllTypesProto3Schema, message as TestAllTypesProto3)),
  );
  assert.ok(a && b);
  // As JSON, where NaN is equal to NaN.
  assert.deepEqual(
    toJson(TestAllTypesProto3Schema, a, { registry }),
    toJson(TestAllTypesProto3Schema, b, { registry }),
    hint,
  );
}

const read = (text: string): Message => fromJsonString(TestAllTypesProto3Schema, text, { registry });
const messages = messageArbitrary(TestAllTypesProto3Schema, {
  anyTypes: [TestAllTypesProto3Schema],
}) as fc.Arbitrary<TestAllTypesProto3>; // The type that its schema describes.
const [json, binary] = ["application/json", "application/proto"] as const;

test("random messages of every field kind come back equal through REST → gRPC → REST", async () => {
  const property = fc.asyncProperty(messages, async (message) => {
    const sent = toJsonString(TestAllTypesProto3Schema, message, { registry });
    const reply = new TextDecoder().decode(await post(sent, json, json));
    const arrived = received.pop();
    assert.ok(arrived);
    assertSame(arrived, read(sent), sent);
    assertSame(read(reply), read(sent), `${sent}\n${reply}`);
  });
  await fc.assert(property, { numRuns: 300 });
});

test("random messages come back equal as binary, and as JSON from binary", async () => {
  const property = fc.asyncProperty(messages, async (message) => {
    const sent = Uint8Array.from(toBinary(TestAllTypesProto3Schema, message));
    assertSame(fromBinary(TestAllTypesProto3Schema, await post(sent, binary, binary)), message, "binary");
    const text = new TextDecoder().decode(await post(sent, binary, json));
    assertSame(read(text), message, text);
  });
  await fc.assert(property, { numRuns: 150 });
});
