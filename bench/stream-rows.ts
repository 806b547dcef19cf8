import type { Program } from "./contestant.ts";
import { handGateway, streamGatewayDuel } from "./gateway-duel.ts";
import type { Row } from "./rig.ts";
import { followBooks, followOverNetwork, sendParcels, type StreamedWork } from "./stream-works.ts";

/** Calls with many messages through a gateway. */
const works = {
  ndjson: { name: "1,000 small messages out as NDJSON", work: () => followOverNetwork("ndjson") },
  sse: { name: "1,000 small messages out as SSE", work: () => followOverNetwork("sse") },
  books: { name: "100 nested items out as NDJSON", work: followBooks },
  upload: { name: "1,000 small messages in as NDJSON", work: sendParcels },
} as const satisfies Readonly<Record<string, { readonly name: string; readonly work: () => StreamedWork }>>;

/** A row of streams, with CPU time per message. */
export function streamRow(
  row: Pick<Row, "id" | "reference" | "must"> & Partial<Pick<Row, "aim">>,
  name: keyof typeof works,
  program: (rig: Parameters<Row["measure"]>[0]) => Promise<Program>,
): Row {
  return {
    ...row,
    work: `stream over the network, ${works[name].name}`,
    subject: "gateway",
    better: "higher",
    measure: async (rig) => streamGatewayDuel(works[name].work(), await program(rig), rig),
  };
}

const reference = "hand-written Fastify + grpc-js client";
const byHand = async (): Promise<Program> => handGateway;

/** Streams over the network, against a gateway written by hand. */
export const streamRows: readonly Row[] = [
  streamRow({ id: "22a", reference, must: 1 }, "ndjson", byHand),
  streamRow({ id: "22b", reference, must: 1 }, "sse", byHand),
  streamRow({ id: "22c", reference, must: 1 }, "books", byHand),
  streamRow({ id: "22d", reference, must: 1 }, "upload", byHand),
];
