import type { DescMessage, DescMethodUnary } from "@bufbuild/protobuf";
import { DispatchQueues, TaskSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import type { CallContext } from "../core/call/context.ts";
import type { Invoker } from "../core/call/invoker.ts";
import { rpcName } from "../core/call/service.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import type { ConsumedRpc } from "../messaging/contract.ts";
import type { EventType } from "./event-types.ts";
import { taskType } from "./task-queue.ts";

/** Handles a message of a queue: its body in protobuf's binary form. */
export type HandleBody = (body: Uint8Array, context: CallContext) => Promise<void>;

const nothing = new Uint8Array(0);

/** Gives the bodies of messages to a function, in place of an rpc. */
export function bodyInvoker(handle: HandleBody): Invoker {
  const refuse = (): never => {
    throw new ConnectError("queues of a dispatcher give bodies", Code.Unimplemented);
  };
  return {
    protocolName: "dispatch",
    async unary() {
      return refuse();
    },
    async unaryBytes(_method, request, context, read) {
      await handle(request instanceof Uint8Array ? request : refuse(), context);
      return read(nothing);
    },
    // eslint-disable-next-line require-yield -- It only refuses.
    async *stream() {
      refuse();
    },
  };
}

/** How one type of messages of a topic is consumed by a dispatcher. */
function rpcOf(
  method: DescMethodUnary,
  schema: DescMessage,
  of: Pick<ConsumedRpc, "topic" | "group" | "type" | "ordering">,
): ConsumedRpc {
  return {
    ...of,
    schema,
    method,
    name: rpcName(method),
    owner: `${rpcName(method)} (${method.parent.file.name}.proto)`,
    kind: "event",
    key: undefined,
    batch: undefined,
    timeoutMs: undefined,
    // What fails here is ours: the message stays until it can be handled.
    attempts: Number.POSITIVE_INFINITY,
    outcomes: new Map(),
    oneWay: true,
    framing: undefined,
  };
}

/** Reads an event. @param ordering `key` where subscriptions with an order are to get events in it */
export function matchRpc(
  { type, topic, schema }: EventType,
  group: string,
  ordering: "key" | "none",
): ConsumedRpc {
  return rpcOf(DispatchQueues.method.match, schema, { topic, group, type, ordering });
}

/** Reads tasks. @param attempts undefined: those that fail here stay */
export function deliverRpc(
  topic: string,
  group: string,
  ordering: "key" | "none",
  attempts?: number,
): ConsumedRpc {
  const rpc = rpcOf(DispatchQueues.method.deliver, TaskSchema, { topic, group, type: taskType, ordering });
  return attempts === undefined ? rpc : { ...rpc, attempts };
}
