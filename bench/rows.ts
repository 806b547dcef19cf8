import { toJson } from "@bufbuild/protobuf";
import { ListBooksResponseSchema } from "../gen/library/v1/library_pb.ts";
import { hundredBooks } from "./books.ts";
import { asExecutable, inOneFile, withPackage } from "./bundled.ts";
import { appRows } from "./app-rows.ts";
import type { Contestant, Program } from "./contestant.ts";
import { clusterRows } from "./cluster-rows.ts";
import { runDuel, samplesAre } from "./duel.ts";
import { compareLives, compareStarts, type Lives } from "./life.ts";
import { engineRows } from "./engine-rows.ts";
import { gatewayDuel, handGateway } from "./gateway-duel.ts";
import { faceRows } from "./face-rows.ts";
import { graphqlRows } from "./graphql-rows.ts";
import { guardRows } from "./guard-rows.ts";
import { http3Rows } from "./http3-rows.ts";
import { hubRows } from "./hub-rows.ts";
import { handLatencyRows } from "./latency-rows.ts";
import { startCannedBackend } from "./load/canned-backend.ts";
import type { GrpcWork } from "./load/grpc-work.ts";
import { StreamLoad, streamForms } from "./load/stream-load.ts";
import { boundMebibytes, compareUsedMemory, type UsedMemory } from "./network-memory.ts";
import { overGrpc, overHttp, streamsOverGrpc } from "./over-wire.ts";
import { peerRows } from "./peer-rows.ts";
import { kafkaRows } from "./kafka-rows.ts";
import { mcpRows } from "./mcp-rows.ts";
import { messageRows } from "./message-rows.ts";
import { natsRows } from "./nats-rows.ts";
import { redisRows } from "./redis-rows.ts";
import { restClientRows } from "./rest-client-rows.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { scaleRows } from "./scale-rows.ts";
import { streamRows } from "./stream-rows.ts";
import { upstreamRows } from "./upstream-rows.ts";
import { grpcFollow } from "./stream-works.ts";
import { limitRows } from "./limit-rows.ts";
import { telemetryRows } from "./telemetry-rows.ts";
import { trafficRows } from "./traffic-rows.ts";
import { workerRows } from "./worker-rows.ts";
import { find, follow, grpcSend, networkFind, networkSend, parcelInit, send } from "./works.ts";

const inProcess = { work: "REST → handler in process", subject: "gateway", reference: "bare Fastify" };
const network = {
  work: "REST → gRPC over the network",
  subject: "gateway",
  reference: "hand-written Fastify + grpc-js client",
};
const streams = {
  work: "server stream in process, 100,000 small messages",
  subject: "gateway",
  reference: "bare Node loop with drain",
};
const gateway: Program = { file: "gateway.ts" };
const bareFastify: Program = { file: "bare-fastify.ts" };
const bareBoth: Program = { file: "bare-both.ts" };
const grpcServers = {
  subject: { file: "grpc-server.ts" },
  reference: { file: "bare-grpc-js.ts" },
};
const bare = "bare Fastify + grpc-js";

const lives = new WeakMap<Rig, Promise<Lives>>();
const usedMemory = new WeakMap<Rig, Promise<UsedMemory>>();
const starts = new WeakMap<Rig, Promise<readonly Measured[]>>();

const all: readonly Row[] = [
  {
    id: "1a",
    ...inProcess,
    work: `${inProcess.work}, small POST`,
    better: "higher",
    must: 1.1,
    aim: 1.5,
    measure: (rig) => runDuel({ subject: gateway, reference: bareFastify, ...overHttp(send) }, rig),
  },
  {
    id: "1b",
    ...inProcess,
    work: `${inProcess.work}, small GET`,
    better: "higher",
    must: 1.1,
    aim: 1.5,
    measure: (rig) => runDuel({ subject: gateway, reference: bareFastify, ...overHttp(find) }, rig),
  },
  {
    id: "2a",
    ...network,
    work: `${network.work}, small POST`,
    better: "higher",
    must: 4,
    aim: 6,
    measure: (rig) => gatewayDuel(networkSend, handGateway, rig),
  },
  {
    id: "2b",
    ...network,
    work: `${network.work}, small GET`,
    better: "higher",
    must: 4,
    aim: 6,
    measure: (rig) => gatewayDuel(networkFind, handGateway, rig),
  },
  {
    id: "3",
    work: "gRPC → handler, small unary",
    subject: "gRPC server, full chain",
    reference: "bare grpc-js server",
    better: "higher",
    must: 2,
    aim: 3.5,
    measure: (rig) => runDuel({ ...grpcServers, ...overGrpc(grpcSend) }, rig),
  },
  {
    id: "3s",
    work: "gRPC → handler, streams of 100,000 small messages out",
    subject: "gRPC server, full chain",
    reference: "bare grpc-js server",
    better: "higher",
    must: 2,
    aim: 4,
    measure: (rig) =>
      runDuel({ ...grpcServers, ...streamsOverGrpc(grpcFollow(follow.count), follow.count) }, rig),
  },
  {
    id: "4",
    work: "message → JSON bytes, 100 items",
    subject: "compiled writer",
    reference: "`Buffer.from(JSON.stringify(toJson()))`",
    better: "higher",
    must: 2,
    aim: 3,
    measure: (rig) => codecDuel("write", rig),
  },
  {
    id: "5",
    work: "JSON bytes → message, 100 items",
    subject: "compiled reader",
    reference: "`fromJson(JSON.parse())`",
    better: "higher",
    must: 1.8,
    aim: 2.5,
    measure: (rig) => codecDuel("read", rig),
  },
  {
    id: "6",
    work: "protobuf bytes → JSON bytes, 100 items",
    subject: "compiled converter",
    reference: "`Buffer.from(JSON.stringify(toJson(fromBinary())))`",
    better: "higher",
    must: 2.5,
    aim: 4,
    measure: (rig) => codecDuel("binary-to-json", rig),
  },
  {
    id: "7",
    work: "typed client, small unary",
    subject: "`createClient(dial())`",
    reference: "grpc-js client",
    better: "higher",
    must: 3,
    aim: 4,
    measure: (rig) => clientDuel(grpcSend, [], parcelInit, rig),
  },
  {
    id: "7s",
    work: "typed client, streams of 100,000 small messages in",
    subject: "`createClient(dial())`",
    reference: "grpc-js client",
    better: "higher",
    must: 2,
    aim: 4,
    measure: (rig) => {
      const { count } = follow;
      return clientDuel(grpcFollow(count), ["stream", String(count)], count, rig);
    },
  },
  {
    id: "8",
    work: "route look-up",
    subject: "1,000 routes",
    reference: "10 routes",
    better: "lower",
    must: 1.3,
    aim: 1.1,
    measure: (rig) =>
      runDuel(
        {
          subject: { file: "router.ts", args: ["1000"] },
          reference: { file: "router.ts", args: ["10"] },
          check: samplesAre([]),
          inverse: true,
        },
        rig,
      ),
  },
  {
    id: "9a",
    ...streams,
    work: `${streams.work} as NDJSON`,
    better: "higher",
    must: 0.7,
    aim: 0.9,
    measure: (rig) => streamDuel("ndjson", rig),
  },
  {
    id: "9b",
    ...streams,
    work: `${streams.work} as SSE`,
    better: "higher",
    must: 0.7,
    aim: 0.9,
    measure: (rig) => streamDuel("sse", rig),
  },
  {
    id: "9c",
    ...streams,
    work: `${streams.work} as JSON array`,
    better: "higher",
    must: 0.7,
    aim: 0.9,
    measure: (rig) => streamDuel("array", rig),
  },
  {
    id: "9d",
    ...streams,
    work: `${streams.work} over WebSocket`,
    reference: "bare `ws` loop with drain",
    better: "higher",
    must: 0.5,
    aim: 0.8,
    measure: (rig) => streamDuel("webSocket", rig),
  },
  {
    id: "10",
    work: "JSON bytes → protobuf bytes, 100 items",
    subject: "compiled converter",
    reference: "`toBinary(fromJson(JSON.parse()))`",
    better: "higher",
    must: 2,
    aim: 3.5,
    measure: (rig) => codecDuel("json-to-binary", rig),
  },
  ...clusterRows,
  ...upstreamRows,
  ...peerRows,
  {
    id: "13a",
    work: "start to first answer",
    subject: "gateway, one file",
    reference: bare,
    better: "lower",
    must: 1,
    aim: 0.7,
    measure: async (rig) => (await livesOf(rig)).start,
  },
  {
    id: "13b",
    work: "resident memory, idle",
    subject: "gateway, one file",
    reference: bare,
    better: "lower",
    must: 1.15,
    aim: 1,
    measure: async (rig) => (await livesOf(rig)).idle,
  },
  {
    id: "13c",
    work: "resident memory after 100,000 calls",
    subject: "gateway, one file",
    reference: bare,
    better: "lower",
    must: 1.15,
    aim: 1,
    measure: async (rig) => (await livesOf(rig)).used,
  },
  {
    id: "13d",
    work: "live memory, growth by further calls",
    subject: "gateway, later",
    reference: "gateway, after 50,000 calls",
    better: "lower",
    must: 1.05,
    measure: async (rig) => (await livesOf(rig)).growth,
  },
  {
    id: "13e",
    work: "resident memory after 100,000 calls over the network",
    subject: "gateway, one file",
    reference: network.reference,
    better: "lower",
    must: 0.6,
    measure: async (rig) => (await usedMemoryOf(rig)).compared,
  },
  {
    id: "13f",
    work: "the same, of a fixed amount",
    subject: "gateway, one file",
    reference: `${boundMebibytes} MiB`,
    better: "lower",
    must: 1,
    measure: async (rig) => (await usedMemoryOf(rig)).bounded,
  },
  {
    id: "13g",
    work: "start to first answer",
    subject: "gateway, by the package",
    reference: bare,
    better: "lower",
    must: 1,
    aim: 0.7,
    measure: (rig) => startOf(0, rig),
  },
  {
    id: "13h",
    work: "start to first answer",
    subject: "gateway, executable",
    reference: bare,
    better: "lower",
    must: 1,
    aim: 0.7,
    measure: (rig) => startOf(1, rig),
  },
  ...engineRows,
  ...streamRows,
  ...handLatencyRows,
  ...restClientRows,
  ...trafficRows,
  ...appRows,
  ...limitRows,
  ...guardRows,
  ...telemetryRows,
  ...faceRows,
  ...graphqlRows,
  ...mcpRows,
  ...hubRows,
  ...natsRows,
  ...redisRows,
  ...messageRows,
  ...kafkaRows,
  ...workerRows,
  ...http3Rows,
  ...scaleRows,
];

/** All comparisons, by their numbers. */
export const rows: readonly Row[] = all.toSorted((a, b) => Number.parseInt(a.id) - Number.parseInt(b.id));

function streamDuel(form: keyof typeof streamForms, rig: Rig): Promise<Measured> {
  const load = ({ port }: Contestant): StreamLoad => new StreamLoad(port, follow, streamForms[form]);
  return runDuel(
    {
      subject: gateway,
      reference: { file: "bare-streams.ts" },
      check: async (contestant) => {
        const numbers = await load(contestant).numbers();
        if (numbers.length === follow.count && numbers.every((number, index) => number === index + 1)) return;
        throw new Error(`${contestant.name} gives ${numbers.length} messages, or not in order`);
      },
      drive: async (contestant) => load(contestant),
    },
    rig,
  );
}

/** Both clients call a backend that shares the core of the load. */
async function clientDuel(
  work: GrpcWork,
  kind: readonly string[],
  sample: unknown,
  rig: Rig,
): Promise<Measured> {
  const backend = await startCannedBackend([work]);
  const args = [`127.0.0.1:${backend.port}`, ...kind];
  try {
    return await runDuel(
      {
        subject: { file: "typed-client.ts", args },
        reference: { file: "bare-grpc-js-client.ts", args },
        check: samplesAre(sample),
      },
      rig,
    );
  } finally {
    backend.close();
  }
}

/** The conversions of `contestants/codec.ts`. */
type CodecDirection = "write" | "read" | "binary-to-json" | "json-to-binary";

function codecDuel(direction: CodecDirection, rig: Rig): Promise<Measured> {
  const expected = toJson(ListBooksResponseSchema, hundredBooks(), { alwaysEmitImplicit: true });
  return runDuel(
    {
      subject: { file: "codec.ts", args: [direction, "ours"] },
      reference: { file: "codec.ts", args: [direction, "stock"] },
      check: samplesAre(expected),
    },
    rig,
  );
}

/** Four rows share the same measurement of processes. */
function livesOf(rig: Rig): Promise<Lives> {
  let found = lives.get(rig);
  if (found === undefined) {
    found = inOneFile(gateway).then((subject) => compareLives(subject, bareBoth, rig));
    lives.set(rig, found);
  }
  return found;
}

/** Two rows share the same measurement of processes: of the library, and of an executable. */
async function startOf(index: number, rig: Rig): Promise<Measured> {
  let found = starts.get(rig);
  if (found === undefined) {
    const programs = Promise.all([withPackage(gateway), asExecutable(gateway)]);
    starts.set(rig, (found = programs.then((subjects) => compareStarts(subjects, bareBoth, rig))));
  }
  const { [index]: measured } = await found;
  if (measured === undefined) throw new Error(`no start ${index}`);
  return measured;
}

/** Two rows share the same measurement of processes. */
function usedMemoryOf(rig: Rig): Promise<UsedMemory> {
  let found = usedMemory.get(rig);
  if (found === undefined) usedMemory.set(rig, (found = compareUsedMemory(rig)));
  return found;
}
