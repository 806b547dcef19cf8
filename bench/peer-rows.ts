import { create, toBinary } from "@bufbuild/protobuf";
import { Missing } from "../conformance/tools.ts";
import { Authorization, CheckResponseSchema } from "../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { clusterPeerRows } from "./cluster-rows.ts";
import type { Program } from "./contestant.ts";
import { runDuel } from "./duel.ts";
import { gatewayDuel } from "./gateway-duel.ts";
import { inTurns } from "./guard-rows.ts";
import { listBooks, storeBooks } from "./large-works.ts";
import { startCannedBackend } from "./load/canned-backend.ts";
import { latencyRows } from "./latency-rows.ts";
import { mcpPeerRows } from "./mcp-rows.ts";
import { messagePeerRows } from "./message-rows.ts";
import { overGrpc } from "./over-wire.ts";
import { hubPeerRows } from "./hub-rows.ts";
import { redisPeerRows } from "./redis-rows.ts";
import { buildGoPeer, fetchEnvoy } from "./peers.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { makeTokens } from "./tokens.ts";
import { streamRow } from "./stream-rows.ts";
import { grpcSend, networkFind, networkSend, type NetworkWork } from "./works.ts";

/** A program of another project. */
interface Peer {
  readonly name: string;
  /** The program that runs it; where it is a gateway, the backend's address is added as an argument. */
  readonly program: () => Promise<Program>;
}

const grpcGateway: Peer = {
  name: "grpc-gateway (Go)",
  program: async () => ({ file: "go-peer.ts", args: [await buildGoPeer("gateway")] }),
};
const envoy: Peer = {
  name: "Envoy (C++)",
  program: async () => ({ file: "envoy.ts", args: [await fetchEnvoy(), "ndjson"] }),
};
const envoyWithEvents: Peer = {
  name: "Envoy (C++), as events",
  program: async () => ({ file: "envoy.ts", args: [await fetchEnvoy(), "sse"] }),
};
const grpcGo: Peer = {
  name: "grpc-go server",
  program: async () => ({ file: "go-peer.ts", args: [await buildGoPeer("server")] }),
};

const post = { name: "small POST", work: networkSend };
const get = { name: "small GET with a query", work: networkFind };
const list = { name: "100 items out", work: listBooks };
const batch = { name: "100 items in", work: storeBooks };

function row(
  id: string,
  { name, work }: { readonly name: string; readonly work: NetworkWork },
  { name: peer, program }: Peer,
  must: number,
  aim: number,
): Row {
  return {
    id,
    work: `REST → gRPC over the network, ${name}`,
    subject: "gateway",
    reference: peer,
    better: "higher",
    must,
    aim,
    measure: async (rig) => gatewayDuel(work, await program(), rig),
  };
}

const ofGo = { reference: grpcGateway.name };
const ofEnvoy = { reference: envoy.name };
const ofEvents = { reference: envoyWithEvents.name };
const ofLines = { reference: `${grpcGateway.name}, as NDJSON` };

const ofGuards = {
  work: "REST → gRPC over the network, small POST",
  better: "higher",
  must: 0.9,
  aim: 1.5,
} as const;

/** Our gateway and Envoy, in front of the same backend, with what decides on calls before. */
async function guardedDuel(rig: Rig, work: NetworkWork, ...guard: readonly string[]): Promise<Measured> {
  const { file, args = [] } = await envoy.program();
  const subject = { file: "asking-gateway.ts", args: guard };
  return gatewayDuel(work, { file, args: [...args, ...guard] }, rig, subject);
}

/** Both ask the same authorizer, which shares the core of the load and lets every call pass. */
async function askedDuel(rig: Rig): Promise<Measured> {
  const answer = toBinary(CheckResponseSchema, create(CheckResponseSchema, { status: {} }));
  const path = `/${Authorization.typeName}/${Authorization.method.check.name}`;
  const authorizer = await startCannedBackend([{ path, request: new Uint8Array(), answer, isForAll: true }]);
  try {
    return await guardedDuel(rig, post.work, "authorizer", `127.0.0.1:${authorizer.port}`);
  } finally {
    authorizer.close();
  }
}

async function tokenDuel(rig: Rig): Promise<Measured> {
  const { jwksFile, authorizations, remove } = await makeTokens(1_000);
  try {
    const http = { ...post.work.http, turns: inTurns(authorizations) };
    return await guardedDuel(rig, { ...post.work, http }, "tokens", jwksFile);
  } finally {
    await remove();
  }
}

const all: readonly Row[] = [
  row("11a", post, grpcGateway, 1.3, 1.6),
  row("11b", get, grpcGateway, 1.3, 1.6),
  row("11c", post, envoy, 2, 2.5),
  row("11d", get, envoy, 2, 2.5),
  row("12a", list, grpcGateway, 6, 9),
  row("12b", batch, grpcGateway, 6, 9),
  row("12c", list, envoy, 3.5, 5),
  row("12d", batch, envoy, 3.5, 5),
  {
    id: "17",
    work: "gRPC → handler, small unary",
    subject: "gRPC server, full chain",
    reference: grpcGo.name,
    better: "higher",
    must: 0.8,
    aim: 1.2,
    measure: async (rig) => {
      const reference = await grpcGo.program();
      return runDuel({ subject: { file: "grpc-server.ts" }, reference, ...overGrpc(grpcSend) }, rig);
    },
  },
  streamRow({ id: "23a", ...ofGo, must: 1.5, aim: 3 }, "ndjson", grpcGateway.program),
  streamRow({ id: "23b", ...ofEnvoy, must: 0.8, aim: 1.5 }, "ndjson", envoy.program),
  streamRow({ id: "23c", ...ofLines, must: 1.5, aim: 3 }, "sse", grpcGateway.program),
  streamRow({ id: "23d", ...ofEvents, must: 0.8, aim: 1.5 }, "sse", envoyWithEvents.program),
  streamRow({ id: "23e", ...ofGo, must: 3 }, "books", grpcGateway.program),
  streamRow({ id: "23f", ...ofGo, must: 1.5 }, "upload", grpcGateway.program),
  {
    ...ofGuards,
    id: "o11",
    subject: "gateway that asks an authorizer",
    reference: "Envoy (C++) with `ext_authz`",
    measure: askedDuel,
  },
  {
    ...ofGuards,
    id: "o12",
    subject: "gateway with JWT, 1,000 tokens by turns, and a local limit",
    reference: "Envoy (C++) with `jwt_authn` and `local_ratelimit`",
    measure: tokenDuel,
  },
  ...latencyRows("25", grpcGateway.name, grpcGateway.program),
  ...clusterPeerRows,
  ...mcpPeerRows,
  ...hubPeerRows,
  ...messagePeerRows,
  ...redisPeerRows,
];

/** Rows whose reference is a program of another project: measured with `--peers` alone, which makes or fetches it. */
export const peerRows: readonly Row[] = all.map((one) => ({
  ...one,
  measure: async (rig) => {
    if (!rig.peers) throw new Missing("it takes `npm run bench -- --peers`");
    return one.measure(rig);
  },
}));
