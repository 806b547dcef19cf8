import { create, fromJson, type JsonObject, type Message, toJson } from "@bufbuild/protobuf";
import { inBatches, readEach } from "../../src/core/call/batches.ts";
import type { ConnectError } from "../../src/core/errors/errors.ts";
import { binaryToJson } from "../../src/core/codec/binary-to-json.ts";
import { CallGroup } from "../../src/gateway/faces/call-group.ts";
import type { FaceCall, FaceRpc } from "../../src/gateway/faces/face-call.ts";
import type { Face, FaceHost } from "../../src/gateway/faces/face.ts";
import type { HttpExchange } from "../../src/gateway/http/exchange.ts";
import { StreamWriter } from "../../src/gateway/http/stream-writer.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";

/** The paths of `callingFace`: one call of an exchange, and one of several. */
export const callPaths = { one: "/face/one", several: "/face/several" };

/**
 * A face that calls the rpcs of the echo service, in the simplest way there is: the body is a `Call` in JSON, the answer
 * has a line for each reply and one with status, headers and trailers. It shows what faces can do, and nothing else.
 */
export const callingFace: Face = {
  name: "calling",
  paths: Object.values(callPaths),
  mount: (host) => ({
    use(contract) {
      const rpcs = new Map(
        contract.services
          .filter(({ typeName }) => typeName === EchoService.typeName)
          .flatMap(({ methods }) => methods)
          .map((method) => [method.localName, contract.rpc(method, "mcp")]),
      );
      const answer = (exchange: HttpExchange): Promise<void> => serve(exchange, rpcs, host);
      return new Map(callingFace.paths.map((path) => [path, { methods: ["POST"], answer }]));
    },
    describe: () => [],
  }),
};

interface Asked {
  readonly requests: readonly JsonObject[];
}

async function serve(
  exchange: HttpExchange,
  rpcs: ReadonlyMap<string, FaceRpc>,
  host: FaceHost,
): Promise<void> {
  const [path = "", name = ""] = exchange.head.url.split("?rpc=");
  const rpc = rpcs.get(name);
  if (rpc === undefined) throw new TypeError(`there is no rpc ${name}`);
  const call = rpc.begin(path === callPaths.several ? CallGroup.of(exchange) : exchange);
  exchange.onStop = (reason) => rpc.method.methodKind !== "unary" && call.context.abort(reason);
  let writer: StreamWriter | undefined;
  const open = (): StreamWriter =>
    (writer ??= new StreamWriter(exchange.respondInParts(200, { "content-type": "text/plain" })));
  let error: ConnectError | undefined;
  try {
    await call.admitted();
    const { requests } = JSON.parse((await host.bodies.read(exchange)).toString()) as Asked;
    const messages = requests.map((request) => fromJson(rpc.method.input, request));
    for await (const line of replies(rpc, call, messages)) {
      await call.context.race(Promise.resolve(open().write(`${line}\n`)));
    }
  } catch (reason) {
    error = call.fail(reason);
    if (writer === undefined && path === callPaths.one) {
      host.errors.send(exchange, error);
      return;
    }
  } finally {
    call.end();
  }
  const { responseHeaderIfAny: header, responseTrailerIfAny: trailer, answeredId } = call.context;
  const status: unknown = error && JSON.parse(host.errors.statusText(error));
  const fields = Object.fromEntries([...(header ?? []), ...(trailer ?? []), ...(error?.metadata ?? [])]);
  if (answeredId !== undefined) fields["x-request-id"] = answeredId;
  await open().end(`${JSON.stringify({ status, fields })}\n`);
}

/** The replies of a call in JSON, by bytes where that can be. */
async function* replies(rpc: FaceRpc, call: FaceCall, messages: readonly Message[]): AsyncGenerator<string> {
  const { output, methodKind, input } = rpc.method;
  const text = (message: Message): string => JSON.stringify(toJson(output, message));
  const json = binaryToJson(output, rpc.json);
  const read = (reply: Uint8Array): string => String(json.convertDirectly(reply));
  const [first = create(input)] = messages;
  if (methodKind === "unary") {
    yield rpc.takesBytes ? await call.unaryBytes(first, read) : await call.unary(first, text);
  } else if (rpc.takesBytes) {
    const batches = inBatches(each(methodKind === "server_streaming" ? [first] : messages));
    for await (const lines of call.streamBytes(batches, (batch) => readEach(batch, read))) yield* lines;
  } else yield* call.stream(each(methodKind === "server_streaming" ? [first] : messages), text);
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
