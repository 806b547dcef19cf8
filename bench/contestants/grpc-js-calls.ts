/** Hand-written code for grpc-js with messages of protobuf-es. */
import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Client, credentials, Server, ServerCredentials, type MethodDefinition } from "@grpc/grpc-js";
import {
  BenchService,
  FindRequestSchema,
  FindResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
  type FindRequest,
  type FindResponse,
  type SendRequest,
  type SendResponse,
} from "../../gen/tsms/test/v1/bench_pb.ts";

function serialize<S extends DescMessage>(schema: S): (message: MessageShape<S>) => Buffer {
  return (message) => Buffer.from(toBinary(schema, message));
}

function deserialize<S extends DescMessage>(schema: S): (bytes: Buffer) => MessageShape<S> {
  return (bytes) => fromBinary(schema, bytes);
}

function definition<I extends DescMessage, O extends DescMessage>(
  name: string,
  input: I,
  output: O,
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  return {
    path: `/${BenchService.typeName}/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize(input),
    requestDeserialize: deserialize(input),
    responseSerialize: serialize(output),
    responseDeserialize: deserialize(output),
  };
}

const sendDefinition = definition("Send", SendRequestSchema, SendResponseSchema);
const findDefinition = definition("Find", FindRequestSchema, FindResponseSchema);

/** A bare server with hand-written handlers, bound to a free port. */
export function startServer(): Promise<number> {
  const server = new Server();
  server.addService(
    { send: sendDefinition, find: findDefinition },
    {
      send(call: { request: SendRequest }, callback: (error: null, reply: SendResponse) => void) {
        const { name, weight, address } = call.request;
        callback(null, create(SendResponseSchema, { name, weight, address }));
      },
      find(call: { request: FindRequest }, callback: (error: null, reply: FindResponse) => void) {
        const { name, weight, tags } = call.request;
        callback(null, create(FindResponseSchema, { name, weight, tags }));
      },
    },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

/** A client of `target` with promises. */
export function connectTo(target: string) {
  const client = new Client(target, credentials.createInsecure());
  const invoker =
    <I, O>({ path, requestSerialize, responseDeserialize }: MethodDefinition<I, O>) =>
    (request: I): Promise<O> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, reply) => {
          if (error === null && reply !== undefined) resolve(reply);
          else reject(error ?? new Error("no reply"));
        });
      });
  return { send: invoker(sendDefinition), find: invoker(findDefinition) };
}
