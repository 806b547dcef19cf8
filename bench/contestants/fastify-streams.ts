/** Hand-written Fastify routes for streams, with a grpc-js client behind them. */
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { ServerResponse } from "node:http";
import {
  create,
  fromJson,
  toJson,
  type DescMessage,
  type JsonValue,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { ClientReadableStream } from "@grpc/grpc-js";
import type { FastifyInstance } from "fastify";
import { FollowParcelsRequestSchema, FollowParcelsResponseSchema } from "../../gen/tsms/test/v1/bench_pb.ts";
import {
  FollowBooksRequestSchema,
  FollowBooksResponseSchema,
  SendParcelsRequestSchema,
  SendParcelsResponseSchema,
} from "../../gen/tsms/test/v1/bench_streams_pb.ts";
import type { connectTo } from "./grpc-js-calls.ts";

/** Adds the routes to `app`. */
export function streamRoutes(app: FastifyInstance, client: ReturnType<typeof connectTo>): void {
  app.addContentTypeParser("application/x-ndjson", (_request, payload, done) => done(null, payload));
  app.get<{ Querystring: { count: string } }>("/bench/v1/parcels::follow", (request, reply) => {
    reply.hijack();
    const call = client.openFollow(
      create(FollowParcelsRequestSchema, { count: Number(request.query.count) }),
    );
    const asEvents = request.headers.accept === "text/event-stream";
    if (asEvents) sendEvents(call, FollowParcelsResponseSchema, reply.raw);
    else sendLines(call, FollowParcelsResponseSchema, reply.raw);
  });
  app.get<{ Querystring: { count: string } }>("/bench/v1/books::follow", (request, reply) => {
    reply.hijack();
    const call = client.openBooks(create(FollowBooksRequestSchema, { count: Number(request.query.count) }));
    sendLines(call, FollowBooksResponseSchema, reply.raw);
  });
  app.post<{ Body: NodeJS.ReadableStream }>("/bench/v1/parcels::sendAll", async (request) => {
    const { requests, reply } = client.sendAll();
    for await (const line of createInterface({ input: request.body })) {
      const message = fromJson(SendParcelsRequestSchema, JSON.parse(line) as JsonValue);
      if (!requests.write(message)) await once(requests, "drain");
    }
    requests.end();
    return toJson(SendParcelsResponseSchema, await reply);
  });
}

function sendLines<S extends DescMessage>(
  call: ClientReadableStream<MessageShape<S>>,
  schema: S,
  response: ServerResponse,
): void {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  sendAll(call, response, (message) => `${JSON.stringify(toJson(schema, message))}\n`);
}

function sendEvents<S extends DescMessage>(
  call: ClientReadableStream<MessageShape<S>>,
  schema: S,
  response: ServerResponse,
): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  let id = 0;
  sendAll(call, response, (message) => `id: ${++id}\ndata: ${JSON.stringify(toJson(schema, message))}\n\n`);
}

function sendAll<T>(
  call: ClientReadableStream<T>,
  response: ServerResponse,
  textOf: (message: T) => string,
): void {
  response.on("drain", () => call.resume());
  call.on("data", (message: T) => {
    if (!response.write(textOf(message))) call.pause();
  });
  call.on("error", () => response.destroy());
  call.on("end", () => response.end());
}
