import {
  Channel,
  connectivityState,
  credentials,
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
} from "@grpc/grpc-js";
import { Code, ConnectError } from "../errors.ts";
import { userAgent, watchStreams } from "./stream-repair.ts";
import { TlsCredentials, type ClientTls } from "./tls-credentials.ts";

/** Pings that find out whether the peer of a quiet connection still lives. */
export interface ClientKeepalive {
  /** Pause between pings while calls are under way, in milliseconds. Servers refuse what is too often. */
  readonly timeMs: number;
  /** How long the answer to a ping may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** Options of a connection over the network. */
export interface ConnectionOptions {
  /** TLS: true for Node's own authorities, or certificates and names. Default: false, plain text. */
  readonly tls: boolean | ClientTls;
  /** The `:authority` of the calls. Default: host and port of the target. */
  readonly authority: string | undefined;
  /** Largest reply message, after decompression, in bytes; larger ones are RESOURCE_EXHAUSTED. Default: 4 MiB. */
  readonly maxMessageBytes: number;
  /** Pings. Default: every 30,000 ms, answered within 10,000 ms. */
  readonly keepalive: ClientKeepalive;
  /** Compression of request messages. Default: none. */
  readonly compression: "none" | "gzip";
  /** Further options of grpc-js (`grpc.*`), which win over ours. Default: none. */
  readonly channelOptions: ChannelOptions;
}

/** The defaults of `ConnectionOptions`. */
export const connectionDefaults: ConnectionOptions = Object.freeze({
  tls: false,
  authority: undefined,
  maxMessageBytes: 4 * 1024 * 1024,
  keepalive: Object.freeze({ timeMs: 30_000, timeoutMs: 10_000 }),
  compression: "none",
  channelOptions: Object.freeze({}),
});

/** Where a connection stands: `failing` waits before it tries again, `closed` is final. */
export type ConnectionState = "idle" | "connecting" | "ready" | "failing" | "closed";

/** Schemes of gRPC names that are passed on as they are. */
const schemes = /^(?:unix|unix-abstract|dns|ipv4|ipv6|xds|passthrough):./;
const hostAndPort = /^(?:\[[0-9A-Fa-f:.%]+\]|[^:/\s[\]]+):\d{1,5}$/;

/**
 * Checks that `target` is a name that can be dialled: `host:port`, `[ipv6]:port`, `unix:/path` or another gRPC name.
 *
 * @throws TypeError that says what a target looks like.
 */
export function checkTarget(target: string): void {
  if (schemes.test(target) || hostAndPort.test(target)) return;
  throw new TypeError(`cannot dial "${target}": a target is "host:port" or "unix:/path"`);
}

/** One connection to a gRPC server, made when first used and again whenever it is lost. */
export class Connection {
  readonly #target: () => string;
  readonly #options: ConnectionOptions;
  readonly #credentials: ChannelCredentials;
  #channel: ChannelInterface | undefined;
  #closed = false;

  /**
   * @param target Asked once, at the first use.
   * @throws TypeError if the certificates cannot be read or a key is missing.
   */
  constructor(target: () => string, options: Partial<ConnectionOptions> = {}) {
    this.#target = target;
    this.#options = { ...connectionDefaults, ...options };
    this.#credentials = toCredentials(this.#options.tls);
  }

  /**
   * The channel that calls go through.
   *
   * @throws ConnectError UNAVAILABLE after `close()`.
   */
  get channel(): ChannelInterface {
    if (this.#closed) throw new ConnectError("the connection is closed", Code.Unavailable);
    if (this.#channel === undefined) {
      watchStreams();
      this.#channel = new Channel(this.#target(), this.#credentials, toChannelOptions(this.#options));
    }
    return this.#channel;
  }

  /** Where the connection stands; asking for it starts none. */
  get state(): ConnectionState {
    if (this.#closed) return "closed";
    return this.#channel === undefined ? "idle" : states[this.#channel.getConnectivityState(false)];
  }

  /**
   * Connects and resolves as soon as calls can be made.
   *
   * @throws ConnectError UNAVAILABLE if `signal` fires before, or the connection is closed.
   */
  ready(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void =>
        reject(
          new ConnectError("not connected in time", Code.Unavailable, undefined, undefined, signal?.reason),
        );
      const look = (): void => {
        if (signal?.aborted === true) return;
        try {
          const { channel } = this;
          const state = channel.getConnectivityState(true);
          if (state !== connectivityState.READY) {
            channel.watchConnectivityState(state, Infinity, look);
            return;
          }
          signal?.removeEventListener("abort", giveUp);
          resolve();
        } catch (error) {
          signal?.removeEventListener("abort", giveUp);
          reject(
            error instanceof ConnectError
              ? error
              : new ConnectError("the connection is closed", Code.Unavailable),
          );
        }
      };
      if (signal?.aborted === true) giveUp();
      signal?.addEventListener("abort", giveUp, { once: true });
      look();
    });
  }

  /** Closes the connection: calls under way come to their end, new ones are UNAVAILABLE. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#channel?.close();
  }
}

const states: Readonly<Record<connectivityState, ConnectionState>> = {
  [connectivityState.IDLE]: "idle",
  [connectivityState.CONNECTING]: "connecting",
  [connectivityState.READY]: "ready",
  [connectivityState.TRANSIENT_FAILURE]: "failing",
  [connectivityState.SHUTDOWN]: "closed",
};

function toCredentials(tls: boolean | ClientTls): ChannelCredentials {
  if (tls === false) return credentials.createInsecure();
  return new TlsCredentials(tls === true ? {} : tls);
}

function toChannelOptions(options: ConnectionOptions): ChannelOptions {
  const { authority, maxMessageBytes, keepalive, compression, channelOptions } = options;
  return {
    "grpc.primary_user_agent": userAgent,
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.keepalive_time_ms": keepalive.timeMs,
    "grpc.keepalive_timeout_ms": keepalive.timeoutMs,
    // A server that comes back is found within seconds.
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,
    // A connection of its own, which `close` closes.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_channelz": 0,
    ...(compression === "gzip" ? { "grpc.default_compression_algorithm": 2 } : {}),
    ...(authority === undefined ? {} : { "grpc.default_authority": authority }),
    ...channelOptions,
  };
}
