import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  BenchService,
  FindRequestSchema,
  FindResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "../gen/tsms/test/v1/bench_pb.ts";
import type { GrpcWork } from "./load/grpc-work.ts";
import type { HttpWork } from "./load/http-load.ts";
import type { StreamWork } from "./load/stream-load.ts";

const parcel = { name: "parcels/42", weight: 1250, address: "Ada Lovelace, 12 St James's Square" };
const found = { name: "abc-123", weight: 25, tags: ["new", "sale"] };

/** The small calls of all rows. */
export const send: HttpWork = {
  method: "POST",
  target: "/bench/v1/parcels",
  body: JSON.stringify(parcel),
  answer: parcel,
};

export const find: HttpWork = {
  method: "GET",
  target: `/bench/v1/parcels/${found.name}?weight=${found.weight}&tags=${found.tags.join("&tags=")}`,
  body: undefined,
  answer: found,
};

const findRequest = create(FindRequestSchema, found);

/** The same calls over gRPC. */
export const grpcSend: GrpcWork = {
  path: `/${BenchService.typeName}/Send`,
  request: toBinary(SendRequestSchema, create(SendRequestSchema, parcel)),
  answer: toBinary(SendResponseSchema, create(SendResponseSchema, parcel)),
};

export const grpcFind: GrpcWork = {
  path: `/${BenchService.typeName}/Find`,
  request: toBinary(FindRequestSchema, findRequest),
  answer: toBinary(FindResponseSchema, create(FindResponseSchema, found)),
  isRequest: (bytes) => equals(FindRequestSchema, fromBinary(FindRequestSchema, bytes), findRequest),
};

/** A call as a gateway receives it, and as it forwards it. */
export interface NetworkWork {
  readonly http: HttpWork;
  readonly grpc: GrpcWork;
}

/** The small calls of gateways in front of a backend. */
export const networkSend: NetworkWork = { http: send, grpc: grpcSend };
export const networkFind: NetworkWork = { http: find, grpc: grpcFind };

/** Init of the request of `grpcSend`, for typed clients. */
export const parcelInit = parcel;

/** Whether a reply to it is correct. */
export function isParcel({ name, weight, address }: typeof parcel): boolean {
  return name === parcel.name && weight === parcel.weight && address === parcel.address;
}

/** The content of every message of a stream, except its number, which is the field `weight`. */
export const followed = { name: "parcels/42", address: "Ada Lovelace, 12 St James's Square" };

/** Number of messages of a stream. */
const followedCount = 100_000;

/** The long stream of small messages of row 9. */
export const follow: StreamWork = {
  target: `/bench/v1/parcels:follow?count=${followedCount}`,
  count: followedCount,
};
