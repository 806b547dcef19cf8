import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "./context.ts";
import type { Handler } from "./handler.ts";
import type { RpcChecks } from "./message-checks.ts";
import { LayeredStream } from "./layered-stream.ts";
import type { WriteReply } from "./write-reply.ts";

/** `handler` with these checks: it takes messages then, not their bytes. */
export function withChecks(handler: Handler, checks: RpcChecks | undefined): Handler {
  return checks === undefined ? handler : { ...handler, bytes: undefined, checks };
}

/** Checks a message of a request. */
type CheckMessage = (message: Message) => void;

/** The checks of requests that are left to make for a call: those that its caller has not made; undefined for none. */
export function requestCheckOf({ requests }: RpcChecks, context: CallContext): CheckMessage | undefined {
  const { checkedBy } = context;
  const due = requests.filter(
    ({ by, isDue }) => isDue?.() !== false && checkedBy?.requests.some((made) => made.by === by) !== true,
  );
  const [only, ...others] = due;
  if (only === undefined) return undefined;
  if (others.length === 0) return (message) => only.check(message, context);
  return (message) => {
    for (const { check } of due) check(message, context);
  };
}

/**
 * Checks a request; returns a promise only while the checks are not ready.
 *
 * @throws ConnectError by which it is refused
 */
export function checkRequest(
  { ready }: RpcChecks,
  check: CheckMessage,
  request: Message,
  context: CallContext,
): Promise<void> | undefined {
  if (ready !== undefined) return context.race(ready).then(() => check(request));
  check(request);
  return undefined;
}

/** `write`, which checks each reply first, unless the caller does. */
export function checkedReplies<T>(
  checks: RpcChecks | undefined,
  context: CallContext,
  write: WriteReply<T> | undefined,
): WriteReply<T> | undefined {
  const check = context.checkedBy?.reply === undefined ? checks?.reply : undefined;
  if (check === undefined) return write;
  return (reply) => {
    check(reply);
    return write === undefined ? (reply as T) : write(reply); // A T is a message then.
  };
}

/**
 * `requests`, each of them checked. The first one that is refused ends the iteration with its error.
 *
 * @param refused called with that error before
 */
export function checkedRequests(
  { ready }: RpcChecks,
  check: CheckMessage,
  requests: AsyncIterable<Message>,
  refused?: (error: unknown) => void,
): AsyncIterable<Message> {
  return new LayeredStream<Message>({
    open: () => (ready === undefined ? requests : ready.then(() => requests)),
    item(message) {
      try {
        check(message as Message); // Of `requests`.
      } catch (error) {
        refused?.(error);
        throw error;
      }
      return message;
    },
  });
}
