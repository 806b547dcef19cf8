import { readFileSync } from "node:fs";
import { SetupError } from "../errors/setup-error.ts";
import { loadRedis, type Peer } from "./peer.ts";
import type { RedisOptions } from "./redis-options.ts";

/** What Redis answers: texts, whole numbers, lists of them, or nothing. */
export type RedisReply = string | number | null | readonly RedisReply[];

/** A connection to Redis that makes itself again. */
export interface RedisLink {
  /** Whether a command can be sent now. */
  readonly isReady: boolean;
  /** Sends a command. @throws Error that Redis answers; while there is no connection, at once */
  send(command: readonly string[]): Promise<RedisReply>;
  /** Calls `listener` whenever the connection can be used, again too. */
  onReady(listener: () => void): void;
  /** Ends the connection, at once. */
  close(): void;
}

/** What both clients of the peer have. */
interface Client {
  readonly isReady: boolean;
  on(event: "error" | "ready", listener: () => void): unknown;
  connect(): Promise<unknown>;
  destroy(): unknown;
}

/** Pause before the next attempt to connect: it doubles from the first to the last value, in milliseconds. */
const firstPauseMs = 50;
const lastPauseMs = 1_000;

/**
 * Connects to Redis in the background: it may be away, now and at any time later.
 *
 * @throws SetupError if `@redis/client` is not installed, or the file of the CA cannot be read
 */
export async function linkTo(options: RedisOptions): Promise<RedisLink> {
  const peer = await loadRedis();
  return options.master === undefined
    ? linkToServer(peer, options)
    : linkByName(peer, options, options.master);
}

function linkToServer({ createClient }: Peer, options: RedisOptions): RedisLink {
  const client = createClient({ url: options.url ?? "", ...clientSettings(options) });
  return linkOf(client, (command) => client.sendCommand<RedisReply>(command));
}

function linkByName({ createSentinel }: Peer, options: RedisOptions, master: string): RedisLink {
  const sentinelRootNodes = options.sentinels.map((address) => {
    const at = address.lastIndexOf(":");
    return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
  });
  const sentinel = createSentinel({
    name: master,
    sentinelRootNodes,
    nodeClientOptions: clientSettings(options),
    scanInterval: lastPauseMs, // Finds a new master even when no Sentinel has announced it.
  });
  return linkOf(sentinel, (command) => sentinel.sendCommand<RedisReply>(false, [...command]));
}

/** What clients of the peer are made with. */
export type ClientSettings = ReturnType<typeof clientSettings>;

/** @throws SetupError where the file of the CA cannot be read */
export function clientSettings({ username, password, ca, connectTimeoutMs }: RedisOptions) {
  const socket = {
    connectTimeout: connectTimeoutMs,
    reconnectStrategy: (attempts: number) =>
      Math.min(firstPauseMs * 2 ** Math.min(attempts, 10), lastPauseMs),
  };
  return {
    disableOfflineQueue: true,
    name: "ts-ms",
    socket: ca === undefined ? socket : { ...socket, tls: true as const, ca: readCa(ca) },
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
}

function linkOf(client: Client, send: RedisLink["send"]): RedisLink {
  let isClosed = false;
  client.on("error", () => {}); // Commands find out that a connection is lost; without a listener the event would throw.
  client.connect().catch(() => {}); // Rejects when `close` was called before the first connection.
  return {
    get isReady() {
      return client.isReady;
    },
    send,
    onReady: (listener) => void client.on("ready", listener),
    close() {
      if (isClosed) return;
      isClosed = true;
      Promise.resolve(client.destroy()).catch(() => {}); // It is closed already.
    },
  };
}

function readCa(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (reason) {
    throw new SetupError(`Redis: the file of the CA cannot be read: ${path}`, { cause: reason });
  }
}
