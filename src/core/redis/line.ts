import { type ClientSettings, clientSettings } from "./link.ts";
import { loadRedis } from "./peer.ts";
import type { RedisOptions } from "./redis-options.ts";

/** What Redis answers on a line: texts are bytes. */
export type LineReply = Buffer | string | number | null | readonly LineReply[];

/** One connection to Redis, until it is lost; it does not make itself again. */
export interface RedisLine {
  /** @throws Error that Redis answers, or that the connection is lost: the command may have been carried out then */
  send(command: readonly (string | Buffer)[]): Promise<LineReply>;
  /** Resolves when everything that is published in these channels from now on comes. */
  subscribe(channels: readonly string[]): Promise<void>;
  unsubscribe(channels: readonly string[]): Promise<void>;
  close(): void;
}

/** Is told what comes on a line. */
export interface LineOwner {
  message(channel: string, message: Buffer): void;
  /** The connection is no more; called once, unless it is closed before. */
  lost(): void;
}

/**
 * Connects to Redis for commands with bytes and for channels, which its owner keeps alive itself.
 *
 * @throws SetupError if `@redis/client` is not installed; Error where Redis cannot be reached
 */
export async function openLine(options: RedisOptions, owner: LineOwner): Promise<RedisLine> {
  const { createClient, RESP_TYPES } = await loadRedis();
  const settings: ClientSettings = clientSettings(options);
  const socket = { ...settings.socket, reconnectStrategy: false as const };
  const client = createClient({ url: options.url ?? "", ...settings, socket });
  // Without the client's own timeout, a timer and a signal for each command: its owner replaces a line that is silent.
  const bytes = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer }, timeout: 0 };
  let isOver = false;
  const over = (): void => {
    if (isOver) return;
    isOver = true;
    owner.lost();
  };
  client.on("error", over);
  client.on("end", over);
  try {
    await client.connect();
  } catch (reason) {
    isOver = true;
    if (client.isOpen) client.destroy();
    throw reason;
  }
  const heard = (message: Buffer, channel: Buffer): void => owner.message(channel.toString(), message);
  return {
    send: (command) => client.sendCommand<LineReply>(command, bytes),
    subscribe: (channels) => client.subscribe([...channels], heard, true),
    unsubscribe: (channels) => client.unsubscribe([...channels], heard, true),
    close() {
      isOver = true;
      if (client.isOpen) client.destroy();
    },
  };
}
