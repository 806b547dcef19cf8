import { request as httpRequest, Agent } from "node:http";
import { pathToFileURL } from "node:url";
import {
  create,
  createRegistry,
  fromBinary,
  toBinary,
  type DescFile,
  type DescMessage,
  type DescService,
  type Message,
} from "@bufbuild/protobuf";
import type { GenEnum, GenMessage } from "@bufbuild/protobuf/codegenv2";
import { GrpcServer, HttpServer, type PartialService } from "../../src/index.ts";

/**
 * What the protobuf conformance runner talks to on stdin and stdout. Every case goes over a real socket: the payload is
 * POSTed to a route of the gateway, and the reply that the gateway gives, JSON or binary, is the testee's answer.
 *
 * The one argument is the folder that the contracts were generated into.
 */
const generated = process.argv[2] ?? "";
const load = async (path: string) =>
  (await import(pathToFileURL(`${generated}/${path}_pb.ts`).href)) as Record<string, unknown>; // Made at run time.

const contract = await load("conformance/conformance");
const RequestSchema = contract["ConformanceRequestSchema"] as GenMessage<ConformanceRequest>;
const ResponseSchema = contract["ConformanceResponseSchema"] as DescMessage;
const FailureSetSchema = contract["FailureSetSchema"] as DescMessage;
const WireFormat = contract["WireFormat"] as Record<"PROTOBUF" | "JSON", GenEnum<number> & number>;
const TestCategory = contract["TestCategory"] as Record<"JSON_IGNORE_UNKNOWN_PARSING_TEST", number>;

/** The members of `conformance.ConformanceRequest` that matter here. */
type ConformanceRequest = Message<"conformance.ConformanceRequest"> & {
  payload:
    | { case: "protobufPayload"; value: Uint8Array }
    | { case: "jsonPayload"; value: string }
    | { case: "jspbPayload" | "textPayload" | undefined };
  requestedOutputFormat: number;
  messageType: string;
  testCategory: number;
};

type Outcome =
  | { case: "parseError" | "serializeError" | "runtimeError" | "skipped" | "jsonPayload"; value: string }
  | { case: "protobufPayload"; value: Uint8Array };

const testee = await load("tsms/conformance/v1/testee");
const TesteeService = testee["TesteeService"] as DescService;
const registry = createRegistry(
  testee["file_tsms_conformance_v1_testee"] as DescFile,
  ...dependencies(TesteeService.file),
);
const routes = new Map(TesteeService.methods.map((method) => [method.input.typeName, pathOf(method.name)]));

const echo = Object.fromEntries(TesteeService.methods.map((m) => [m.localName, (r: Message) => r]));
// Which rpcs there are is known at run time only.
const grpc = new GrpcServer().addService({
  descriptor: TesteeService,
  ...echo,
} as PartialService<DescService>);
const strict = await gateway("reject");
const lenient = await gateway("ignore");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

process.stdin.on("end", () => process.exit(0));
let buffered = Buffer.alloc(0);
for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
  buffered = Buffer.concat([buffered, chunk]);
  while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32LE(0)) {
    const end = 4 + buffered.readUInt32LE(0);
    const reply = await answer(fromBinary(RequestSchema, buffered.subarray(4, end)));
    buffered = buffered.subarray(end);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(reply.length);
    process.stdout.write(Buffer.concat([head, reply]));
  }
}

async function answer(request: ConformanceRequest): Promise<Uint8Array> {
  if (request.messageType === "conformance.FailureSet") {
    return respond({ case: "protobufPayload", value: toBinary(FailureSetSchema, create(FailureSetSchema)) });
  }
  return respond(await outcomeOf(request));
}

function respond(result: Outcome): Uint8Array {
  return toBinary(ResponseSchema, create(ResponseSchema, { result }));
}

async function outcomeOf(request: ConformanceRequest): Promise<Outcome> {
  const { payload, requestedOutputFormat: output } = request;
  const path = routes.get(request.messageType);
  if (path === undefined) return { case: "skipped", value: `no route takes ${request.messageType}` };
  if (payload.case !== "jsonPayload" && payload.case !== "protobufPayload") {
    return { case: "skipped", value: "the gateway takes JSON and binary" };
  }
  if (output !== WireFormat.JSON && output !== WireFormat.PROTOBUF) {
    return { case: "skipped", value: "the gateway gives JSON and binary" };
  }
  const port = request.testCategory === TestCategory.JSON_IGNORE_UNKNOWN_PARSING_TEST ? lenient : strict;
  const json = payload.case === "jsonPayload";
  const reply = await post(port, path, {
    body: payload.value,
    contentType: json ? "application/json" : "application/proto",
    accept: output === WireFormat.JSON ? "application/json" : "application/proto",
  });
  if (reply.status === 400) return { case: "parseError", value: reply.body.toString() };
  if (reply.status === 500) return { case: "serializeError", value: reply.body.toString() };
  if (reply.status !== 200)
    return { case: "runtimeError", value: `${reply.status} ${reply.body.toString()}` };
  return output === WireFormat.JSON
    ? { case: "jsonPayload", value: reply.body.toString() }
    : { case: "protobufPayload", value: reply.body };
}

interface Post {
  readonly body: string | Uint8Array;
  readonly contentType: string;
  readonly accept: string;
}

function post(port: number, path: string, { body, contentType, accept }: Post) {
  return new Promise<{ status: number; body: Buffer }>((resolve, reject) => {
    const headers = { "content-type": contentType, accept, "content-length": Buffer.byteLength(body) };
    const request = httpRequest({ port, path, method: "POST", headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function gateway(unknownFields: "reject" | "ignore"): Promise<number> {
  const http = new HttpServer({ port: 0, upstream: grpc, unknownFields, defaults: "omit", registry });
  http.addService(TesteeService);
  await http.start();
  return http.address?.port ?? 0;
}

function pathOf(name: string): string {
  return `/tsms.conformance.v1.TesteeService/${name}`;
}

function dependencies(file: DescFile): DescFile[] {
  return file.dependencies.flatMap((dependency) => [dependency, ...dependencies(dependency)]);
}
