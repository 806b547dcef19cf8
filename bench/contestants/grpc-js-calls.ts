/** Hand-written code for grpc-js with messages of protobuf-es. */
import { once } from "node:events";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ClientReadableStream,
  type ClientWritableStream,
  type MethodDefinition,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import {
  BenchService,
  FindRequestSchema,
  FindResponseSchema,
  FollowParcelsRequestSchema,
  FollowParcelsResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
  type FindRequest,
  type FindResponse,
  type FollowParcelsRequest,
  type FollowParcelsResponse,
  type SendRequest,
  type SendResponse,
} from "../../gen/tsms/test/v1/bench_pb.ts";
import {
  BenchStreamsService,
  FollowBooksRequestSchema,
  FollowBooksResponseSchema,
  SendParcelsRequestSchema,
  SendParcelsResponseSchema,
  type FollowBooksRequest,
  type FollowBooksResponse,
  type SendParcelsRequest,
  type SendParcelsResponse,
} from "../../gen/tsms/test/v1/bench_streams_pb.ts";
import {
  BenchCatalogService,
  GetCatalogBookRequestSchema,
  GetCatalogBookResponseSchema,
} from "../../gen/tsms/test/v1/bench_catalog_pb.ts";
import type { Book } from "../../gen/library/v1/library_pb.ts";
import { followed } from "../works.ts";

function serialize<S extends DescMessage>(schema: S): (message: MessageShape<S>) => Buffer {
  return (message) => Buffer.from(toBinary(schema, message));
}

function deserialize<S extends DescMessage>(schema: S): (bytes: Buffer) => MessageShape<S> {
  return (bytes) => fromBinary(schema, bytes);
}

function definition<I extends DescMessage, O extends DescMessage>(
  method: DescMethod,
  input: I,
  output: O,
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming",
    responseStream: method.methodKind === "server_streaming",
    requestSerialize: serialize(input),
    requestDeserialize: deserialize(input),
    responseSerialize: serialize(output),
    responseDeserialize: deserialize(output),
  };
}

const { send, find, followParcels } = BenchService.method;
const { sendParcels, followBooks } = BenchStreamsService.method;
const sendDefinition = definition(send, SendRequestSchema, SendResponseSchema);
const findDefinition = definition(find, FindRequestSchema, FindResponseSchema);
const followDefinition = definition(followParcels, FollowParcelsRequestSchema, FollowParcelsResponseSchema);
const sendAllDefinition = definition(sendParcels, SendParcelsRequestSchema, SendParcelsResponseSchema);
const booksDefinition = definition(followBooks, FollowBooksRequestSchema, FollowBooksResponseSchema);

/** A bare server with hand-written handlers, bound to a free port. */
export function startServer(): Promise<number> {
  const server = new Server();
  server.addService(
    { send: sendDefinition, find: findDefinition, follow: followDefinition },
    {
      send(call: { request: SendRequest }, callback: (error: null, reply: SendResponse) => void) {
        const { name, weight, address } = call.request;
        callback(null, create(SendResponseSchema, { name, weight, address }));
      },
      find(call: { request: FindRequest }, callback: (error: null, reply: FindResponse) => void) {
        const { name, weight, tags } = call.request;
        callback(null, create(FindResponseSchema, { name, weight, tags }));
      },
      follow(call: ServerWritableStream<FollowParcelsRequest, FollowParcelsResponse>) {
        void writeAll(call);
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

async function writeAll(
  call: ServerWritableStream<FollowParcelsRequest, FollowParcelsResponse>,
): Promise<void> {
  for (let weight = 1; weight <= call.request.count; weight++) {
    const message = create(FollowParcelsResponseSchema, { ...followed, weight });
    if (!call.write(message)) await once(call, "drain");
  }
  call.end();
}

/** What a client of several servers is told: all of them in turn, with retries. */
const forSeveral = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [
    {
      name: [{}],
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: "0.05s",
        maxBackoff: "1s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

/** A client of `target` with promises for calls that have an end, and with streams. */
export function connectTo(target: string) {
  const several = target.includes(",");
  const client = new Client(
    several ? `ipv4:${target}` : target,
    credentials.createInsecure(),
    several ? { "grpc.service_config": JSON.stringify(forSeveral) } : {},
  );
  const invoker =
    <I, O>({ path, requestSerialize, responseDeserialize }: MethodDefinition<I, O>) =>
    (request: I): Promise<O> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, reply) => {
          if (error === null && reply !== undefined) resolve(reply);
          else reject(error ?? new Error("no reply"));
        });
      });
  const opener =
    <I, O>({ path, requestSerialize, responseDeserialize }: MethodDefinition<I, O>) =>
    (request: I): ClientReadableStream<O> =>
      client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  const openFollow = opener(followDefinition);
  return {
    send: invoker(sendDefinition),
    find: invoker(findDefinition),
    openFollow,
    openBooks: opener<FollowBooksRequest, FollowBooksResponse>(booksDefinition),
    /** Reports each message; resolves at the successful end. */
    followParcels: (request: FollowParcelsRequest, onMessage: (message: FollowParcelsResponse) => void) =>
      new Promise<void>((resolve, reject) => {
        openFollow(request).on("data", onMessage).on("error", reject).on("end", resolve);
      }),
    /** Gives the stream of requests and a promise of the reply. */
    sendAll(): { requests: ClientWritableStream<SendParcelsRequest>; reply: Promise<SendParcelsResponse> } {
      const { path, requestSerialize, responseDeserialize } = sendAllDefinition;
      const { promise, resolve, reject } = Promise.withResolvers<SendParcelsResponse>();
      const requests = client.makeClientStreamRequest<SendParcelsRequest, SendParcelsResponse>(
        path,
        requestSerialize,
        responseDeserialize,
        (error, reply) => {
          if (error === null && reply !== undefined) resolve(reply);
          else reject(error ?? new Error("no reply"));
        },
      );
      return { requests, reply: promise };
    },
  };
}

/** A function that gets a book by its name from `target`. */
export function connectToCatalog(target: string): (name: string) => Promise<Book | undefined> {
  const client = new Client(target, credentials.createInsecure());
  const { getCatalogBook } = BenchCatalogService.method;
  const { path, requestSerialize, responseDeserialize } = definition(
    getCatalogBook,
    GetCatalogBookRequestSchema,
    GetCatalogBookResponseSchema,
  );
  return (name) =>
    new Promise((resolve, reject) => {
      const request = create(GetCatalogBookRequestSchema, { name });
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, reply) => {
        if (error === null) resolve(reply?.book);
        else reject(error);
      });
    });
}
