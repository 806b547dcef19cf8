import { setTimeout as delay } from "node:timers/promises";
import type { Contestant, Program } from "./contestant.ts";
import { type Duel, runDuel } from "./duel.ts";
import { lineOf } from "./lines.ts";
import { latenciesOf } from "./latencies.ts";
import { runTimedDuel } from "./latency-duel.ts";
import { ReturnLoad } from "./load/return-load.ts";
import { type RoomForm, RoomLoad } from "./load/room-load.ts";
import { overGrpc, overHttp } from "./over-wire.ts";
import { fetchSocketIo } from "./peers.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { grpcSend, send } from "./works.ts";

/** What clients do in a duel of rooms. */
interface RoomWork {
  readonly form: (contestant: Contestant) => RoomForm;
  /** Messages of one turn of the event loop. */
  readonly burst: number;
  /** The part of the members that gets them. Default: 1 */
  readonly share?: (contestant: Contestant) => number;
  /** Whether publications are counted, and not deliveries. Default: false */
  readonly perPublication?: boolean;
}

/** Both publish to as many clients, which count what comes; the CPU time is that of one delivery. */
function roomDuel(
  subject: Program,
  reference: Program,
  { form, burst, share = () => 1, perPublication = false }: RoomWork,
  rig: Rig,
): Promise<Measured> {
  const { members } = rig;
  const listeners = (contestant: Contestant): number => members * share(contestant);
  const open = (contestant: Contestant): Promise<RoomLoad> =>
    RoomLoad.open(contestant.port, form(contestant), members, contestant, listeners(contestant));
  const duel: Duel = {
    subject,
    reference,
    check: async (contestant) => {
      const load = await open(contestant);
      try {
        await load.publish(1);
        checkLast(contestant, load.sample);
      } finally {
        load.close();
      }
    },
    drive: async (contestant) => {
      const load = await open(contestant);
      return {
        async run(ms) {
          const end = performance.now() + ms;
          let count = 0;
          do {
            await load.publish(burst);
            count += perPublication ? burst : burst * listeners(contestant);
          } while (performance.now() < end);
          return count;
        },
        close: () => load.close(),
      };
    },
  };
  return runDuel(duel, rig);
}

/** Clients come back, and others come and get as much live; the CPU time is that of one client. */
function returnDuel(rig: Rig): Promise<Measured> {
  const resumes = ({ name }: Contestant): boolean => name.endsWith("resumed");
  return runDuel(
    {
      subject: room("kept", "http", "resumed"),
      reference: room("kept", "http", "live"),
      drive: async (contestant) => {
        const load = await ReturnLoad.open(contestant.port, contestant, resumes(contestant));
        return {
          async run(ms) {
            const end = performance.now() + ms;
            let count = 0;
            do count += await load.run();
            while (performance.now() < end);
            return count;
          },
          close() {},
        };
      },
    },
    rig,
  );
}

/** Publications at half of what the slower one can do; the time is that from one to its last member. */
async function timedRoomDuel(rig: Rig): Promise<Measured> {
  let everyMs = 0;
  const ratios = await runTimedDuel(
    {
      subject: room("all"),
      reference: bare("ws"),
      check: async () => {}, // As of row r1.
      drive: async (contestant) => {
        const load = await RoomLoad.open(contestant.port, "ws", rig.members, contestant);
        const begunMs = performance.now();
        for (let count = 0; count < 20; count++) await load.publish(1);
        everyMs = Math.max(everyMs, (performance.now() - begunMs) / 10);
        return {
          async run(ms) {
            const times: number[] = [];
            const end = performance.now() + ms;
            for (let dueMs = performance.now(); dueMs < end; dueMs += everyMs) {
              await delay(Math.max(0, dueMs - performance.now()));
              await load.publish(1);
              times.push(performance.now() - dueMs);
            }
            return latenciesOf(times);
          },
          close: () => load.close(),
        };
      },
    },
    rig,
  );
  return ratios.p99;
}

/** What unary calls cost with a hub, beside the same without. */
function unaryDuel(door: "http" | "grpc", rig: Rig): Promise<Measured> {
  const file = "hub-gateway.ts";
  const wire = door === "http" ? overHttp(send) : overGrpc(grpcSend);
  return runDuel(
    { subject: { file, args: ["hub", door] }, reference: { file, args: ["none", door] }, ...wire },
    rig,
  );
}

/** The last messages of a member end with a line. */
function checkLast(contestant: Contestant, text: string): void {
  const [, digits] = / (\d{10})"?\}?[\]\s]*$/.exec(text) ?? [];
  if (digits !== undefined && text.includes(lineOf(Number(digits)).text)) return;
  throw new Error(`${contestant.name} gives ${JSON.stringify(text.slice(-300))}`);
}

const room = (...args: readonly string[]): Program => ({ file: "room-gateway.ts", args });
const bare = (kind: string): Program => ({ file: "bare-rooms.ts", args: [kind] });

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
      const form = ({ name }: Contestant): RoomForm => (name.startsWith("socket-io") ? "socketIo" : "ws");
      return roomDuel(room("all"), reference, { form, burst: 1 }, rig);
    },
  },
];
