import type { MetricsPage } from "./connections/statistics.ts";
import type { Room } from "./room/room.ts";
import type { Rooms } from "./rooms.ts";
import type { Topics } from "./topics.ts";

/** What rooms and their members hold at a moment: it is looked at when a page of metrics is read, and costs nothing before. */
export class RoomMetrics {
  readonly #rooms: Rooms;
  readonly #topics: Topics;

  constructor(rooms: Rooms, topics: Topics) {
    this.#rooms = rooms;
    this.#topics = topics;
  }

  /** Adds them to a page of metrics. @returns functions that take them from there */
  watch(metrics: MetricsPage): (() => void)[] {
    return [
      metrics.watch("hubRooms", () => this.#each(() => 1)),
      metrics.watch("hubMembers", () => this.#each(({ size }) => size)),
      metrics.watch("hubLagging", () =>
        this.#each(({ places }) => {
          let lagging = 0;
          for (const { behindSinceMs } of places) if (behindSinceMs !== undefined) lagging++;
          return lagging;
        }),
      ),
      metrics.watch("hubRingBytes", () => [{ labels: {}, value: this.#rooms.ringBytes }]),
      metrics.watch("hubDirectBytes", () => {
        let value = 0;
        for (const topic of this.#topics)
          for (const { waitingBytes } of topic.members.all) value += waitingBytes;
        return [{ labels: {}, value }];
      }),
    ];
  }

  /** The sum over the rooms with members of each topic; topics without are there, with 0. */
  #each(valueOf: (room: Room) => number) {
    const sums = new Map<string, number>();
    for (const { name } of this.#topics) sums.set(name, 0);
    for (const room of this.#rooms) sums.set(room.topic, (sums.get(room.topic) ?? 0) + valueOf(room));
    return [...sums].map(([topic, value]) => ({ labels: { topic }, value }));
  }
}
