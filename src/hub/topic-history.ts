import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { positionHeader } from "../core/metadata/stream-position.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Bus } from "./bus/bus.ts";
import { formatPosition, parsePosition } from "./room/position.ts";
import { pathOf, type RoomKind } from "./room/room.ts";
import { checkRoom } from "./room/room-key.ts";
import type { Rooms } from "./rooms.ts";
import type { HistoryOptions, HistoryPage } from "./topic-options.ts";
import type { TopicShape } from "./topic-shape.ts";

const mostOfHistory = 1_000;

/** What was kept of the rooms of a topic, and the positions there: see `Topic`. */
export class TopicHistory {
  readonly #shape: TopicShape;
  readonly #kind: RoomKind;
  readonly #kit: { readonly rooms: Rooms; readonly bus: Bus; readonly clock: Clock };

  constructor(
    shape: TopicShape,
    kind: RoomKind,
    kit: { readonly rooms: Rooms; readonly bus: Bus; readonly clock: Clock },
  ) {
    this.#shape = shape;
    this.#kind = kind;
    this.#kit = kit;
  }

  async position(room: string): Promise<string> {
    const path = this.#keptPath(room);
    const known = this.#kit.rooms.find(path);
    if (known?.isReady === true) return formatPosition(known.ring.top);
    const [top] = await this.#kit.bus.tops([{ room: path, seen: undefined }]);
    return top === undefined ? "" : formatPosition(top); // There is one for each room.
  }

  async mark(context: HandlerContext, room: string): Promise<void> {
    context.responseHeader.set(positionHeader, await this.position(room));
  }

  async read(room: string, { after, limit = 100 }: HistoryOptions): Promise<HistoryPage<Message>> {
    const path = this.#keptPath(room);
    if (!Number.isInteger(limit) || limit < 1 || limit > mostOfHistory) {
      throw invalidArgument(`limit: a number from 1 to ${mostOfHistory} is expected`);
    }
    const from = after === undefined ? undefined : parsePosition(after);
    if (after !== undefined && from === undefined) throw invalidArgument("after: it is no position");
    const { entries, top, complete } = await this.#kit.bus.read(path, from, limit);
    const nowMs = this.#kit.clock.nowMs();
    const messages = entries.flatMap(({ publication, position, untilMs }) => {
      if (position === undefined || (untilMs !== undefined && nowMs >= untilMs)) return [];
      this.#kind.stamp(publication, position);
      const { id, message, headers } = publication;
      return [{ id, position: formatPosition(position), message, headers }];
    });
    const last = entries.at(-1)?.position ?? from ?? top;
    return { messages, position: formatPosition(last), top: formatPosition(top), complete };
  }

  async clear(room: string): Promise<void> {
    await this.#kit.bus.clear(this.#keptPath(room));
  }

  /** @throws ConnectError FAILED_PRECONDITION for a topic without history */
  #keptPath(room: string): string {
    checkRoom(room, "room", this.#shape.isNamed);
    if (this.#kind.hasHistory) return pathOf(this.#shape.name, room);
    throw new ConnectError(`the topic ${this.#shape.name} has no history`, Code.FailedPrecondition);
  }
}
