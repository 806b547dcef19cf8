import { runDuel } from "./duel.ts";
import { overGrpc, overHttp } from "./over-wire.ts";
import { fetchSocketIo } from "./peers.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { bare, joinDuel, returnDuel, room, roomDuel, socketForm, timedRoomDuel } from "./room-duels.ts";
import { grpcSend, send } from "./works.ts";

/** What unary calls cost with a hub, beside the same without. */
function unaryDuel(door: "http" | "grpc", rig: Rig): Promise<Measured> {
  const file = "hub-gateway.ts";
  const wire = door === "http" ? overHttp(send) : overGrpc(grpcSend);
  return runDuel(
    { subject: { file, args: ["hub", door] }, reference: { file, args: ["none", door] }, ...wire },
    rig,
  );
}

const one = "one publication to 1,000";

/** What one publication to many costs. */
export const hubRows: readonly Row[] = [
  {
    id: "r1",
    work: `${one} WebSockets`,
    subject: "hub",
    reference: "bare `ws`, `send` in a loop",
    better: "higher",
    must: 1,
    aim: 1.5,
    measure: (rig) => roomDuel(room("all"), bare("ws"), { form: () => "ws", burst: 1 }, rig),
  },
  {
    id: "r2",
    work: "100 publications of one turn to 1,000 WebSockets",
    subject: "hub",
    reference: "bare `ws`, `send` in a loop",
    better: "higher",
    must: 6,
    aim: 15,
    measure: (rig) => roomDuel(room("all"), bare("ws"), { form: () => "ws", burst: 100 }, rig),
  },
  {
    id: "r4",
    work: `${one} clients of server-sent events`,
    subject: "hub",
    reference: "bare Node, `write` in a loop",
    better: "higher",
    must: 0.9,
    aim: 1.4,
    measure: (rig) => roomDuel(room("all"), bare("sse"), { form: () => "sse", burst: 1 }, rig),
  },
  {
    id: "r5",
    work: `${one} gRPC streams`,
    subject: "hub",
    reference: "bare grpc-js, `call.write` in a loop",
    better: "higher",
    must: 1.3,
    aim: 2.5,
    measure: (rig) => roomDuel(room("all", "grpc"), bare("grpc"), { form: () => "grpc", burst: 1 }, rig),
  },
  {
    id: "r6a",
    work: `${one} WebSockets that want it by a filter of two tests`,
    subject: "hub",
    reference: "the same without filters",
    better: "higher",
    must: 0.85,
    aim: 0.95,
    measure: (rig) => roomDuel(room("matching"), room("all"), { form: () => "ws", burst: 1 }, rig),
  },
  {
    id: "r6b",
    work: `${one} WebSockets, a tenth of which wants it, for each publication`,
    subject: "hub",
    reference: "the same without filters",
    better: "higher",
    must: 4,
    aim: 7,
    measure: (rig) =>
      roomDuel(
        room("tenth"),
        room("all"),
        {
          form: () => "ws",
          burst: 1,
          share: ({ name }) => (name.endsWith("tenth") ? 0.1 : 1),
          perPublication: true,
        },
        rig,
      ),
  },
  {
    id: "r8",
    work: "a client of server-sent events comes back for 50 missed messages",
    subject: "hub, bus in memory",
    reference: "the same, for a client that comes and 50 live ones",
    better: "higher",
    must: 1,
    aim: 2,
    measure: returnDuel,
  },
  {
    id: "r12a",
    work: "REST → handler in process, small POST",
    subject: "gateway with a hub",
    reference: "the same without",
    better: "higher",
    must: 0.99,
    aim: 1,
    measure: (rig) => unaryDuel("http", rig),
  },
  {
    id: "r12b",
    work: "gRPC → handler, small unary",
    subject: "server with a hub",
    reference: "the same without",
    better: "higher",
    must: 0.99,
    aim: 1,
    measure: (rig) => unaryDuel("grpc", rig),
  },
  {
    id: "r13",
    work: `${one} WebSockets at half load, until the last one has it, p99`,
    subject: "hub",
    reference: "bare `ws`, `send` in a loop",
    better: "lower",
    must: 1.5,
    aim: 1.1,
    measure: timedRoomDuel,
  },
];

/** The same beside rooms of another project. */
export const hubPeerRows: readonly Row[] = [
  {
    id: "r3",
    work: `${one} WebSockets`,
    subject: "hub",
    reference: "socket.io, `io.to(room).emit`",
    better: "higher",
    must: 1.5,
    aim: 2.5,
    measure: async (rig) => {
      const reference = { file: "socket-io-rooms.ts", args: [await fetchSocketIo()] };
      return roomDuel(room("all"), reference, { form: socketForm, burst: 1 }, rig);
    },
  },
  {
    id: "r7",
    work: "join a room on a socket, and leave it",
    subject: "hub, by `/ws`",
    reference: "socket.io, by events",
    better: "higher",
    must: 0.8,
    aim: 1.2,
    measure: async (rig) => {
      const reference = { file: "socket-io-rooms.ts", args: [await fetchSocketIo()] };
      return joinDuel(room("joins"), reference, rig);
    },
  },
];
