import type { AmqpLine } from "./amqp-line.ts";
import type { AmqpMessage } from "./amqp-message.ts";
import { ChannelFrames } from "./channel-frames.ts";
import type { Channel, Options } from "./peer.ts";

/** Publishes on one channel. */
export interface ChannelSender {
  /**
   * @returns whether more should be published now; if not, `drained` is called as soon as it should
   * @throws Error for a message that AMQP has no form for, which is not sent then
   */
  publish(message: AmqpMessage): boolean;
}

/** What publishes on a channel: frames of our own, or the client where it does not say where frames go. */
export function senderOn(line: AmqpLine, channel: Channel, drained: () => void): ChannelSender {
  const socket = line.socketOf(channel);
  if (socket === undefined) {
    channel.on("drain", drained);
    return {
      publish: ({ exchange, routingKey, body, options }) =>
        channel.publish(exchange, routingKey, bufferOf(body), options as Options.Publish), // It skips what is undefined.
    };
  }
  const frames = new ChannelFrames(socket, drained);
  channel.on("close", () => frames.end());
  return frames;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
