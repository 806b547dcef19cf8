import { setTimeout as delay } from "node:timers/promises";
import type { Contestant, Program } from "./contestant.ts";
import { type Duel, runDuel } from "./duel.ts";
import { lineOf } from "./lines.ts";
import { latenciesOf } from "./latencies.ts";
import { runTimedDuel } from "./latency-duel.ts";
import { JoinLoad } from "./load/join-load.ts";
import { ReturnLoad } from "./load/return-load.ts";
import { type RoomForm, RoomLoad } from "./load/room-load.ts";
import type { Measured, Rig } from "./rig.ts";

/** A room of a hub, see `contestants/room-gateway.ts`. */
export const room = (...args: readonly string[]): Program => ({ file: "room-gateway.ts", args });
/** A bare loop over everybody who listens, see `contestants/bare-rooms.ts`. */
export const bare = (kind: string): Program => ({ file: "bare-rooms.ts", args: [kind] });

/** What clients do in a duel of rooms. */
export interface RoomWork {
  readonly form: (contestant: Contestant) => RoomForm;
  /** Messages of one turn of the event loop. */
  readonly burst: number;
  /** The part of the members that gets them. Default: 1 */
  readonly share?: (contestant: Contestant) => number;
  /** Whether publications are counted, and not deliveries. Default: false */
  readonly perPublication?: boolean;
  /** How many clients there are at most. Default: as many as the rig says */
  readonly members?: number;
}

/** Both publish to as many clients, which count what comes; the CPU time is that of one delivery. */
export function roomDuel(
  subject: Program,
  reference: Program,
  { form, burst, share = () => 1, perPublication = false, members: most = Infinity }: RoomWork,
  rig: Rig,
): Promise<Measured> {
  const members = Math.min(most, rig.members);
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

/** Runs a load again and again, for so many milliseconds; resolves with what it has done in all. */
async function repeated(load: { run(): Promise<number> }, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let count = 0;
  do count += await load.run();
  while (performance.now() < end);
  return count;
}

/** Clients come back, and others come and get as much live; the CPU time is that of one client. */
export function returnDuel(rig: Rig): Promise<Measured> {
  const resumes = ({ name }: Contestant): boolean => name.endsWith("resumed");
  return runDuel(
    {
      subject: room("kept", "http", "resumed"),
      reference: room("kept", "http", "live"),
      drive: async (contestant) => {
        const load = await ReturnLoad.open(contestant.port, contestant, resumes(contestant));
        return {
          run: (ms) => repeated(load, ms),
          close() {},
        };
      },
    },
    rig,
  );
}

/** Publications at half of what the slower one can do; the time is that from one to its last member. */
export async function timedRoomDuel(rig: Rig): Promise<Measured> {
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

/** Clients join rooms and leave them; the CPU time is that of one room that is joined and left. */
export function joinDuel(subject: Program, reference: Program, rig: Rig): Promise<Measured> {
  return runDuel(
    {
      subject,
      reference,
      drive: async (contestant) => {
        const load = await JoinLoad.open(contestant.port, isSocketIo(contestant) ? "socketIo" : "hub");
        return {
          run: (ms) => repeated(load, ms),
          close: () => load.close(),
        };
      },
    },
    rig,
  );
}

/** How clients of a contestant follow its room by WebSocket. */
export function socketForm(contestant: Contestant): RoomForm {
  return isSocketIo(contestant) ? "socketIo" : "ws";
}

function isSocketIo({ name }: Contestant): boolean {
  return name.startsWith("socket-io");
}

/** The last messages of a member end with a line. */
function checkLast(contestant: Contestant, text: string): void {
  const [, digits] = / (\d{10})"?\}?[\]\s]*$/.exec(text) ?? [];
  if (digits !== undefined && text.includes(lineOf(Number(digits)).text)) return;
  throw new Error(`${contestant.name} gives ${JSON.stringify(text.slice(-300))}`);
}
