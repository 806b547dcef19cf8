import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type EchoResponseSchema,
  EchoService,
  type ChatRequest,
  type CollectRequest,
  type EchoRequest,
  type EchoResponse,
  type RepeatRequest,
  type RepeatResponse,
} from "../../gen/tsms/test/v1/echo_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import {
  createClient,
  dial,
  GrpcServer,
  service,
  type HandlerContext,
  type PartialService,
  type Service,
} from "../../src/index.ts";

// What must not compile stands under `@ts-expect-error`: the type check fails if it does compile.

/** Whole. */
class Whole implements Service<typeof EchoService> {
  readonly descriptor = EchoService;
  prefix = "whole: ";
  echo(request: EchoRequest, _context: HandlerContext): MessageInitShape<typeof EchoResponseSchema> {
    return { text: this.prefix + request.text };
  }
  async *repeat(request: RepeatRequest) {
    for (let index = 0; index < request.count; index++) yield { index };
  }
  async collect(requests: AsyncIterable<CollectRequest>) {
    let count = 0;
    for await (const _ of requests) count++;
    return { count };
  }
  async *chat(requests: AsyncIterable<ChatRequest>) {
    for await (const { text } of requests) yield { text };
  }
}

/** With rpcs left out on purpose. */
class Part implements PartialService<typeof EchoService> {
  readonly descriptor = EchoService;
  async echo(): Promise<{ text: string }> {
    return { text: "part" };
  }
}

// @ts-expect-error Rpcs are missing.
class Missing implements Service<typeof EchoService> {
  readonly descriptor = EchoService;
  echo() {
    return {};
  }
}

// @ts-expect-error The descriptor is missing.
class Nameless implements PartialService<typeof EchoService> {
  echo() {
    return {};
  }
}

class WrongRequest implements PartialService<typeof EchoService> {
  readonly descriptor = EchoService;
  // @ts-expect-error The request is another message.
  echo(request: RepeatRequest) {
    return { text: String(request.count) };
  }
}

class WrongReply implements PartialService<typeof EchoService> {
  readonly descriptor = EchoService;
  // @ts-expect-error A text is no number.
  echo() {
    return { text: 5 };
  }
}

class WrongKind implements PartialService<typeof EchoService> {
  readonly descriptor = EchoService;
  // @ts-expect-error A server stream is due.
  async repeat() {
    return { index: 0 };
  }
}

class OtherDescriptor implements Service<typeof EchoService> {
  // @ts-expect-error The descriptor is that of another service.
  readonly descriptor = Health;
  declare echo: Whole["echo"];
  declare repeat: Whole["repeat"];
  declare collect: Whole["collect"];
  declare chat: Whole["chat"];
}

test("whole, partial and plain services are all servable, and clients are typed", async () => {
  const plain = service(EchoService, { echo: ({ text }) => ({ text: `plain: ${text}` }) });
  for (const [value, text] of [
    [new Whole(), "whole: x"],
    [new Part(), "part"],
    [plain, "plain: x"],
  ] as const) {
    const server = new GrpcServer({ port: 0 });
    server.addService(value);
    const client = createClient(EchoService, dial(server));
    const reply: EchoResponse = await client.echo({ text: "x" });
    assert.equal(reply.text, text);
  }
});

test("what the types refuse", () => {
  // Never run: the compiler looks at it.
  // oxlint-disable typescript/no-unsafe-assignment, typescript/no-misused-spread, typescript/await-thenable, typescript/no-unsafe-call
  const refused = async (server: GrpcServer) => {
    // @ts-expect-error A text is no number.
    service(EchoService, { echo: () => ({ text: 5 }) });
    // @ts-expect-error No such rpc.
    service(EchoService, { ecko: () => ({}) });
    // @ts-expect-error The request has no such field.
    service(EchoService, { echo: (request) => ({ text: request.count }) });
    // @ts-expect-error A stream is due.
    service(EchoService, { repeat: () => ({ index: 1 }) });
    // @ts-expect-error No descriptor.
    server.addService({ echo: () => ({}) });
    // @ts-expect-error A text is no number.
    server.addService({ descriptor: EchoService, echo: () => ({ text: 5 }) });
    // @ts-expect-error Written for another service.
    server.addService({ ...new Whole(), descriptor: Health, check: 5 });
    const client = createClient(EchoService, dial(server));
    // @ts-expect-error The request has no such field.
    await client.echo({ txt: "x" });
    // @ts-expect-error A stream is no promise of messages.
    const one: RepeatResponse = await client.repeat({});
    // @ts-expect-error A client stream takes an iterable.
    await client.collect({ text: "x" });
    // @ts-expect-error No such rpc.
    client.ecko({});
    return one;
  };
  assert.equal(typeof refused, "function");
  assert.deepEqual(
    [Missing, Nameless, WrongRequest, WrongReply, WrongKind, OtherDescriptor].map(({ name }) => name).length,
    6,
  );
});
