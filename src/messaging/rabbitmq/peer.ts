import type * as amqplibPeer from "amqplib";
import { loadPeer } from "../../core/config/optional-peer.ts";

export type {
  Channel,
  ChannelModel,
  ConfirmChannel,
  ConsumeMessage,
  GetMessage,
  Message,
  Options,
} from "amqplib";

/** What is used of `amqplib` at run time. */
export type Peer = Pick<typeof amqplibPeer, "connect" | "credentials">;

/** @throws SetupError without the package */
export async function loadAmqplib(): Promise<Peer> {
  // It is CommonJS, whose exports are the default alone in a bundle.
  return (await loadPeer("amqplib", "RabbitMQ", () => import("amqplib"))).default;
}
