import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { StringValueSchema, timestampNow } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  ChatService as descriptor,
  type SayRequest,
  type ShowTypingRequest,
} from "../../../gen/chat/v1/chat_pb.ts";
import type { Service } from "../../core/call/service.ts";
import { invalidArgument } from "../../core/errors/errors.ts";
import { principal } from "../../core/security/principal.ts";
import type { Hub } from "../../hub/hub.ts";
import type { RpcTopic } from "../../hub/typed-topic.ts";

/** Rooms that are there before anyone is in them. */
const firstRooms = ["lobby", "kitchen", "workshop"];

/** How many lines of a room are kept, as in the contract. */
const lastLines = 200;

/** How long it is worth telling that a person is writing, in milliseconds. */
const typingTtlMs = 5_000;

/** A chat in rooms. Its contract, `chat/v1/chat.proto`, documents each rpc, and says what is kept of a room. */
export class ChatService implements Service<typeof descriptor> {
  readonly descriptor = descriptor;
  readonly #hub: Hub;
  readonly #lines: RpcTopic<typeof descriptor.method.watchRoom>;
  readonly #typing: RpcTopic<typeof descriptor.method.watchTyping>;
  readonly watchRoom;
  readonly watchTyping;

  /** @param hub that of the servers of this service */
  constructor(hub: Hub) {
    this.#hub = hub;
    this.#lines = hub.topic(descriptor.method.watchRoom, {
      authorize({ room, user, request }) {
        checkRoom(room);
        return { info: create(StringValueSchema, { value: nameOf(user, request?.user) }) };
      },
      snapshot: (room) => this.#linesOf(room),
    });
    this.#typing = hub.topic(descriptor.method.watchTyping, { authorize: ({ room }) => checkRoom(room) });
    this.watchRoom = this.#lines.serve;
    this.watchTyping = this.#typing.serve;
  }

  async listRooms() {
    const { rooms } = await this.#hub.rooms({ topic: this.#lines.name, pageSize: 1_000 });
    const members = new Map(firstRooms.map((name) => [name, 0]));
    for (const room of rooms) members.set(room.name, room.members);
    return { rooms: [...members].map(([name, members]) => ({ name, members })) };
  }

  async say({ room, user, text, id: wanted }: SayRequest, context: HandlerContext) {
    checkRoom(room);
    checkText("text", text.trim(), 2_000);
    if (wanted.length > 64) throw bad("id", "has more than 64 characters");
    const id = wanted === "" ? randomUUID() : wanted;
    const line = {
      id,
      user: nameOf(principal(context)?.id, user),
      text: text.trim(),
      saidAt: timestampNow(),
    };
    const event = { case: "line", value: line } as const;
    // A client that says it again, since it has lost the answer, gets the first receipt: the id is the publication's too.
    const { position, sent, failed } = await this.#lines.publish(room, { event }, { id, from: context });
    return { id, position: position ?? "", sent, failed };
  }

  async showTyping({ room, user, typing }: ShowTypingRequest, context: HandlerContext) {
    checkRoom(room);
    const message = { user: nameOf(principal(context)?.id, user), typing };
    await this.#typing.publish(room, message, { from: context, ttlMs: typingTtlMs });
    return {};
  }

  /** The state of a room: what those who come in get first. */
  async #linesOf(room: string) {
    const { messages } = await this.#lines.history(room, { limit: lastLines });
    return messages.map(({ message }) => message);
  }
}

/** What a person is called: as the server knows it, else as the client says. */
function nameOf(known: string | undefined, said = ""): string {
  const name = known ?? said.trim();
  if (name === "") return "guest";
  checkText("user", name, 40);
  return name;
}

function checkRoom(room: string): void {
  if (!/^[\w-]{1,40}$/.test(room)) throw bad("room", "must be 1 to 40 letters, digits, - and _");
}

function checkText(field: string, text: string, most: number): void {
  if (text === "") throw bad(field, "must not be empty");
  if (text.length > most) throw bad(field, `has more than ${most} characters`);
}

function bad(field: string, description: string) {
  return invalidArgument(`${field} ${description}`, [{ field, description }]);
}
