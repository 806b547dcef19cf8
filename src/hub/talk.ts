import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { invalidArgument, toCallError } from "../core/errors/errors.ts";
import type { Member } from "./room/member.ts";
import type { HubTopic } from "./topic.ts";
import type { RpcTopicInit } from "./topic-options.ts";
import type { RoomsOf, TopicMethod } from "./topic-shape.ts";

type OnMessage = RpcTopicInit<TopicMethod>["onMessage"];

/** The function that serves a bidirectional rpc that is a topic. */
export function serveTalks(
  topic: HubTopic,
  roomsOf: RoomsOf,
  { onMessage }: Pick<RpcTopicInit<TopicMethod>, "onMessage">,
) {
  return (requests: AsyncIterable<Message>, context: HandlerContext): AsyncIterable<Message> => {
    const messages = requests[Symbol.asyncIterator]();
    return topic.members.readTalk(
      context,
      async () => {
        const first = await messages.next();
        if (first.done === true) throw invalidArgument("the first message names the room, and none came");
        return { names: roomsOf(first.value), request: first.value };
      },
      (member) => void handleAll(messages, member, onMessage),
    );
  };
}

/**
 * Messages of a call that is a member, one after the other. A client that sends none any more stays a member. Never rejects:
 * what is thrown ends the call.
 */
async function handleAll(
  messages: AsyncIterator<Message>,
  member: Member,
  onMessage: OnMessage,
): Promise<void> {
  const { context } = member;
  try {
    for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
      if (member.isOver) return;
      if (onMessage === undefined) throw invalidArgument("the topic takes one message, which names the room");
      const { rooms, user, id: connection } = member;
      await onMessage(next.value, { context, rooms, user, connection });
    }
  } catch (reason) {
    if (!context.isEnded) context.abort(toCallError(reason));
  }
}
