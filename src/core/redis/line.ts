import { type ClientSettings, clientSettings } from "./link.ts";
import { loadRedis, type Peer } from "./peer.ts";
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

/** A client of `@redis/client`, of which further connections with its settings are made; it need not be connected. */
export interface RedisClientLike {
  /** Its settings. */
  readonly options: object;
  /** Another client with its settings. @param overrides in place of some of them */
  duplicate(overrides?: object): unknown;
}

/**
 * Connects to Redis for commands with bytes and for channels, which its owner keeps alive itself.
 *
 * @throws SetupError if `@redis/client` is not installed; Error where Redis cannot be reached
 */
export async function openLine(options: RedisOptions, owner: LineOwner): Promise<RedisLine> {
  const { createClient } = await loadRedis();
  const settings: ClientSettings = clientSettings(options);
  const socket = { ...settings.socket, reconnectStrategy: false as const };
  return openBy(createClient({ url: options.url ?? "", ...settings, socket }), owner);
}

/**
 * As `openLine`, with the settings of a client.
 *
 * @throws Error where Redis cannot be reached
 */
export async function openLineLike(client: RedisClientLike, owner: LineOwner): Promise<RedisLine> {
  const { socket = {} } = client.options as { readonly socket?: object }; // As the package names it.
  const own = { socket: { ...socket, reconnectStrategy: false }, disableOfflineQueue: true };
  return openBy(client.duplicate(own) as LineClient, owner); // As `duplicate` promises.
}

type LineClient = ReturnType<Peer["createClient"]>;

async function openBy(client: LineClient, owner: LineOwner): Promise<RedisLine> {
  const { RESP_TYPES } = await loadRedis();
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
