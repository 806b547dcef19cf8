import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { NatsLine } from "../../core/nats/nats-line.ts";
import type { ReplyMessage } from "./nats-delivery.ts";
import { toNats } from "./nats-message.ts";

/**
 * Answers a call; resolves when the server has the reply, which it stores nowhere.
 *
 * @param to the subject of the caller
 * @throws ConnectError RESOURCE_EXHAUSTED if the server does not take so large a one. @throws NatsAway
 */
export async function sendReply(line: NatsLine, reply: ReplyMessage, to: string): Promise<void> {
  const { headers, body, bytes } = toNats({ ...reply, key: undefined });
  if (bytes > line.maxBytes) {
    const text = `NATS: the reply has ${bytes} bytes, and the server takes ${line.maxBytes}`;
    throw new ConnectError(text, Code.ResourceExhausted);
  }
  line.publish(to, body, undefined, headers);
  await line.flush();
}
