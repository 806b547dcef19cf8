import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { LiveService } from "../../gen/tsms/test/v1/live_pb.ts";
import type { Hub } from "../../src/hub/hub.ts";
import type { Topic } from "../../src/hub/typed-topic.ts";
import type { JoinOptions } from "../../src/hub/topic-options.ts";
import { madeCall, type MadeCall } from "../support/made-call.ts";

/** Lets promises that are settled have their reactions. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** A call that joins rooms, whose replies a test reads one by one. */
export async function madeMember<D extends DescMessage>(
  hub: Hub,
  topic: Topic<D>,
  rooms: string | readonly string[],
  { after, ...more }: MadeCall & { readonly after?: string | undefined } = {},
  options: JoinOptions = {},
) {
  const call = madeCall({
    method: LiveService.method.watchRoom,
    door: "sse",
    ...more,
    ...(after !== undefined && { headers: { "last-event-id": after } }),
  });
  await hub.attach().gate.admit(call);
  const { context } = call;
  const reader = topic.join(rooms, context, options)[Symbol.asyncIterator]();
  let first: Promise<IteratorResult<MessageShape<D>>> | undefined = reader.next();
  first.catch(() => {});
  await settle();
  return {
    context,
    header: (name: string) => context.responseHeader.get(name),
    position: () => context.streamPlace?.positionText(),
    async next(): Promise<MessageShape<D>> {
      const next = first ?? reader.next();
      first = undefined;
      const result = await next;
      if (result.done === true) throw new Error("the call has ended");
      return result.value;
    },
    leave: () => context.end(),
  };
}
