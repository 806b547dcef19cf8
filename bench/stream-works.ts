import { create, equals, fromBinary, fromJson, toBinary, toJson, type JsonValue } from "@bufbuild/protobuf";
import {
  BenchService,
  FollowParcelsRequestSchema,
  FollowParcelsResponseSchema,
} from "../gen/tsms/test/v1/bench_pb.ts";
import {
  BenchStreamsService,
  FollowBooksRequestSchema,
  FollowBooksResponseSchema,
  SendParcelsRequestSchema,
  SendParcelsResponseSchema,
} from "../gen/tsms/test/v1/bench_streams_pb.ts";
import { hundredBooks } from "./books.ts";
import type { GrpcWork } from "./load/grpc-work.ts";
import { followed, type NetworkWork } from "./works.ts";

/** A call with many messages, as a gateway receives it, and as it forwards it. */
export interface StreamedWork extends NetworkWork {
  /** Number of messages of a call. */
  readonly messages: number;
}

/** Number of small messages of a call over the network. */
const networkCount = 1000;

/** Media types of streams, as `Accept` selects them. */
const mediaTypes = { ndjson: "application/x-ndjson", sse: "text/event-stream" };

/** The forms of a stream of small messages over the network. */
export type NetworkForm = keyof typeof mediaTypes;

/** A gRPC stream of so many small messages out, numbered by their weight. */
export function grpcFollow(count: number): GrpcWork {
  return {
    path: `/${BenchService.typeName}/FollowParcels`,
    request: toBinary(FollowParcelsRequestSchema, create(FollowParcelsRequestSchema, { count })),
    answer: parcels(count).map((parcel) =>
      toBinary(FollowParcelsResponseSchema, create(FollowParcelsResponseSchema, parcel)),
    ),
  };
}

/** The same through a gateway. */
export function followOverNetwork(form: NetworkForm): StreamedWork {
  return {
    messages: networkCount,
    http: {
      method: "GET",
      target: `/bench/v1/parcels:follow?count=${networkCount}`,
      body: undefined,
      accept: mediaTypes[form],
      answer: parcels(networkCount),
      read: readMessages,
    },
    grpc: grpcFollow(networkCount),
  };
}

/** One hundred nested items, each a message. */
export function followBooks(): StreamedWork {
  const { books } = hundredBooks();
  const items = books.map((book) => create(FollowBooksResponseSchema, { book }));
  const count = items.length;
  return {
    messages: count,
    http: {
      method: "GET",
      target: `/bench/v1/books:follow?count=${count}`,
      body: undefined,
      accept: mediaTypes.ndjson,
      read: readMessages,
      answer: items.map((item) => toJson(FollowBooksResponseSchema, item)),
      isAnswer: (values) =>
        Array.isArray(values) &&
        values.length === count &&
        items.every((item, index) => {
          const found = fromJson(FollowBooksResponseSchema, values[index] as JsonValue); // It was parsed from JSON.
          return equals(FollowBooksResponseSchema, found, item);
        }),
    },
    grpc: {
      path: `/${BenchStreamsService.typeName}/FollowBooks`,
      request: toBinary(FollowBooksRequestSchema, create(FollowBooksRequestSchema, { count })),
      answer: items.map((item) => toBinary(FollowBooksResponseSchema, item)),
    },
  };
}

/** Small messages in, as NDJSON. */
export function sendParcels(): StreamedWork {
  const messages = parcels(networkCount).map((parcel) => create(SendParcelsRequestSchema, parcel));
  const answer = create(SendParcelsResponseSchema, { count: networkCount });
  return {
    messages: networkCount,
    http: {
      method: "POST",
      target: "/bench/v1/parcels:sendAll",
      body: parcels(networkCount)
        .map((parcel) => `${JSON.stringify(parcel)}\n`)
        .join(""),
      contentType: mediaTypes.ndjson,
      answer: { count: networkCount },
    },
    grpc: {
      path: `/${BenchStreamsService.typeName}/SendParcels`,
      request: messages.map((message) => toBinary(SendParcelsRequestSchema, message)),
      answer: toBinary(SendParcelsResponseSchema, answer),
      isRequest: (bytes, index) => {
        const [found, expected] = [fromBinary(SendParcelsRequestSchema, bytes), messages[index]];
        return expected !== undefined && equals(SendParcelsRequestSchema, found, expected);
      },
    },
  };
}

function parcels(count: number) {
  const { name, address } = followed;
  return Array.from({ length: count }, (_, index) => ({ name, weight: index + 1, address }));
}

/**
 * The messages of a stream in the forms of all gateways: JSON on lines, as it is or as the member `result`, and events
 * with and without ids, to which the event of the end does not belong. Undefined for other text.
 */
export function readMessages(text: string): unknown {
  try {
    return text
      .split("\n")
      .map((line) => line.replace(/^data: ?/, ""))
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>) // By its first character.
      .filter((value) => !("trailers" in value))
      .map((value) => value["result"] ?? value);
  } catch {
    return undefined;
  }
}
