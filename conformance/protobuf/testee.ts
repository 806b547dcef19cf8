import { request as httpRequest, Agent } from "node:http";
import type { DescService, Message } from "@bufbuild/protobuf";
import { GrpcServer, HttpServer, type PartialService } from "../../src/index.ts";
import {
  type ConformanceRequest,
  type Outcome,
  registry,
  serve,
  TestCategory,
  TesteeService,
  WireFormat,
} from "./testee-protocol.ts";

/**
 * Testee of the protobuf conformance runner, over stdin and stdout. Every case uses a real socket: the payload is
 * POSTed to a route of the gateway, and the gateway's response, JSON or binary, is the testee's answer.
 *
 * The second argument is the option `dial` of the gateway: "in-process" or "network".
 */
const dial = process.argv[3] === "network" ? "network" : "in-process";
const routes = new Map(TesteeService.methods.map((method) => [method.input.typeName, pathOf(method.name)]));

const echo = Object.fromEntries(TesteeService.methods.map((m) => [m.localName, (r: Message) => r]));
// The rpcs are only known at run time.
const grpc = new GrpcServer({ port: 0 }).addService({
  descriptor: TesteeService,
  ...echo,
} as PartialService<DescService>);
if (dial === "network") await grpc.start();
const strict = await gateway("reject");
const lenient = await gateway("ignore");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

await serve(outcomeOf);

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
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    dial,
    unknownFields,
    unknownEnums: "ignore",
    defaults: "omit",
    registry,
  });
  http.addService(TesteeService);
  await http.start();
  return http.address?.port ?? 0;
}

function pathOf(name: string): string {
  return `/tsms.conformance.v1.TesteeService/${name}`;
}
