import type { Contestant, Program } from "./contestant.ts";
import { type Duel, runDuel } from "./duel.ts";
import { lineOf } from "./lines.ts";
import { type RoomForm, RoomLoad } from "./load/room-load.ts";
import { fetchSocketIo } from "./peers.ts";
import type { Measured, Rig, Row } from "./rig.ts";

/** Members of a room. */
const memberCount = 1_000;

/** What clients do in a duel of rooms. */
interface RoomWork {
  readonly form: (contestant: Contestant) => RoomForm;
  /** Messages of one turn of the event loop. */
  readonly burst: number;
  /** Members that get them. Default: all */
  readonly listeners?: (contestant: Contestant) => number;
  /** Whether publications are counted, and not deliveries. Default: false */
  readonly perPublication?: boolean;
}

/** Both publish to as many clients, which count what comes; the CPU time is that of one delivery. */
function roomDuel(
  subject: Program,
  reference: Program,
  { form, burst, listeners = () => memberCount, perPublication = false }: RoomWork,
  rig: Rig,
): Promise<Measured> {
  const open = (contestant: Contestant): Promise<RoomLoad> =>
    RoomLoad.open(contestant.port, form(contestant), memberCount, contestant, listeners(contestant));
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
          listeners: ({ name }) => (name.endsWith("tenth") ? memberCount / 10 : memberCount),
          perPublication: true,
        },
        rig,
      ),
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
