/** A gateway written by hand: Fastify in front of a grpc-js client, messages of protobuf-es. */
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import {
  FindRequestSchema,
  FindResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "../../gen/tsms/test/v1/bench_pb.ts";
import { serveRoutes } from "./fastify-routes.ts";
import { streamRoutes } from "./fastify-streams.ts";
import { connectTo } from "./grpc-js-calls.ts";
import { takePart } from "./take-part.ts";

const [target = ""] = process.argv.slice(2);
const client = connectTo(target);

const port = await serveRoutes(
  {
    send: async (parcel) =>
      toJson(SendResponseSchema, await client.send(fromJson(SendRequestSchema, { ...parcel }))),
    find: async (query) => toJson(FindResponseSchema, await client.find(create(FindRequestSchema, query))),
  },
  { more: (app) => streamRoutes(app, client) },
);
takePart({ port });
