import { LiveService } from "../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../src/index.ts";
import { connectHub, type HubClient } from "../../src/entries/hub-client.ts";

/** What a client of one room has seen: messages there are counted from 1 on. */
export interface Reader {
  readonly door: string;
  readonly room: number;
  last: number;
  received: number;
  lost: number;
  doubled: number;
  resets: number;
  atMs: number;
  /** The longest time between two messages, in milliseconds. */
  silentMs: number;
}

/** How clients come: three links of pages, and gRPC. */
const doors = ["websocket", "sse", "poll", "grpc"] as const;

/** Clients of all doors, spread over the rooms. */
export class Readers {
  readonly all: Reader[] = [];
  readonly #clients: HubClient[] = [];

  /** @param perDoor clients of each door */
  constructor(http: string, grpc: string, perDoor: number, rooms: number) {
    for (const door of doors) {
      for (let index = 0; index < perDoor; index++) this.#add(door, index % rooms, http, grpc);
    }
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  /** Forgets how long they were silent. */
  forgetSilence(): void {
    for (const reader of this.all) reader.silentMs = 0;
  }

  /** The longest silence of all but the worst hundredth, in milliseconds. */
  silenceMs(): number {
    const sorted = this.all.map(({ silentMs }) => silentMs).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0;
  }

  #add(door: (typeof doors)[number], room: number, http: string, grpc: string): void {
    const backoff = { initialMs: 50, maxMs: 500 };
    const client =
      door === "grpc"
        ? connectHub(dial(grpc), { backoff })
        : connectHub(`http://${http}`, { backoff, transports: [door] });
    this.#clients.push(client);
    const counts = { last: 0, received: 0, lost: 0, doubled: 0, resets: 0, silentMs: 0 };
    const reader: Reader = { door, room, ...counts, atMs: performance.now() };
    this.all.push(reader);
    client.subscribe(
      LiveService.method.followRooms,
      { rooms: [`${room}`] },
      {
        message: ({ text }) => heard(reader, Number(text)),
        reset: () => {
          reader.resets++;
          reader.last = 0;
        },
      },
    );
  }
}

function heard(reader: Reader, number: number): void {
  const nowMs = performance.now();
  if (reader.received > 0) reader.silentMs = Math.max(reader.silentMs, nowMs - reader.atMs);
  reader.atMs = nowMs;
  reader.received++;
  if (number <= reader.last) reader.doubled++;
  else if (reader.last > 0) reader.lost += number - reader.last - 1;
  reader.last = Math.max(reader.last, number);
}
