import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescService,
  type Message,
} from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import type { Payload } from "./test-service.ts";

interface Request extends Message {
  readonly payload?: Payload;
  readonly responseSize?: number;
  readonly responseStatus?: { readonly code: number; readonly message: string };
  readonly responseParameters?: readonly { readonly size: number; readonly intervalUs: number }[];
}

const initialKey = "x-grpc-test-echo-initial";
const trailingKey = "x-grpc-test-echo-trailing-bin";

/** The interop suite's service on bare grpc-js. @returns the server and its port */
export async function grpcJsServer(contract: DescService): Promise<readonly [Server, number]> {
  const server = new Server();
  server.addService(definitionOf(contract), handlers(contract));
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    }),
  );
  return [server, port];
}

/** The rpcs that the service has here; the others are UNIMPLEMENTED. */
const served = ["emptyCall", "unaryCall", "streamingOutputCall", "streamingInputCall", "fullDuplexCall"];

function definitionOf(contract: DescService): ServiceDefinition {
  const entries = contract.methods
    .filter(({ localName }) => served.includes(localName))
    .map(({ localName, name, methodKind, input, output }) => [
      localName,
      {
        path: `/${contract.typeName}/${name}`,
        requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
        responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
        requestSerialize: (message: Message) => Buffer.from(toBinary(input, message)),
        requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
        responseSerialize: (message: Message) => Buffer.from(toBinary(output, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
      },
    ]);
  return Object.fromEntries(entries) as ServiceDefinition; // Its rpcs are only known at run time.
}

function handlers(contract: DescService) {
  const outputOf = (localName: string): DescMessage => {
    const method = contract.methods.find((one) => one.localName === localName);
    if (method === undefined) throw new Error(`there is no rpc ${localName}`);
    return method.output;
  };
  const [simple, output, input] = ["unaryCall", "fullDuplexCall", "streamingInputCall"].map(outputOf);
  if (simple === undefined || output === undefined || input === undefined) throw new Error("no outputs");
  const reply = (type: DescMessage, size: number): Message =>
    create(type, { payload: { body: new Uint8Array(size) } });

  const emptyCall: handleUnaryCall<Request, Message> = (_, answer) => {
    answer(null, create(outputOf("emptyCall")));
  };
  const unaryCall: handleUnaryCall<Request, Message> = (call, answer) => {
    const { responseSize = 0, responseStatus } = call.request;
    call.sendMetadata(echo(call.metadata, initialKey));
    const trailers = echo(call.metadata, trailingKey);
    if (failed(responseStatus)) answer({ code: responseStatus.code, details: responseStatus.message });
    else answer(null, reply(simple, responseSize), trailers);
  };
  const streamingOutputCall: handleServerStreamingCall<Request, Message> = (call) => {
    for (const { size } of call.request.responseParameters ?? []) call.write(reply(output, size));
    call.end();
  };
  const streamingInputCall: handleClientStreamingCall<Request, Message> = (call, answer) => {
    let aggregatedPayloadSize = 0;
    call.on("data", ({ payload }: Request) => (aggregatedPayloadSize += payload?.body.length ?? 0));
    call.on("end", () => answer(null, create(input, { aggregatedPayloadSize })));
  };
  const fullDuplexCall: handleBidiStreamingCall<Request, Message> = (call) => {
    call.sendMetadata(echo(call.metadata, initialKey));
    call.on("data", ({ responseParameters = [], responseStatus }: Request) => {
      if (failed(responseStatus)) {
        call.emit("error", { code: responseStatus.code, details: responseStatus.message });
        return;
      }
      for (const { size, intervalUs } of responseParameters) {
        if (intervalUs === 0) call.write(reply(output, size));
      }
    });
    call.on("end", () => call.end(echo(call.metadata, trailingKey)));
  };
  return { emptyCall, unaryCall, streamingOutputCall, streamingInputCall, fullDuplexCall };
}

function failed<T extends { readonly code: number }>(responseStatus: T | undefined): responseStatus is T {
  return responseStatus !== undefined && responseStatus.code !== status.OK;
}

function echo(from: Metadata, key: string): Metadata {
  const metadata = new Metadata();
  for (const value of from.get(key)) metadata.add(key, value);
  return metadata;
}
