import { Duplex } from "node:stream";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { FrameSocket } from "./channel-frames.ts";
import type { Channel, ChannelModel, ConfirmChannel } from "./peer.ts";

/** How long a connection has for its goodbye before its socket is destroyed, in milliseconds. */
const goodbyeMs = 1_000;

/** One connection to RabbitMQ, from its handshake to its end. */
export class AmqpLine {
  readonly #model: ChannelModel;
  readonly #clock: Clock;
  #isOver = false;
  #blockedBy: string | undefined;

  /** @param changed is called when RabbitMQ blocks publishing, and when it does so no more */
  constructor(model: ChannelModel, clock: Clock, changed: () => void) {
    this.#model = model;
    joinWrites(socketOf(model));
    this.#clock = clock;
    model.on("blocked", (reason) => {
      this.#blockedBy = reason;
      changed();
    });
    model.on("unblocked", () => {
      this.#blockedBy = undefined;
      changed();
    });
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why RabbitMQ takes no messages now, such as `low on memory`; undefined where it takes them. */
  get blockedBy(): string | undefined {
    return this.#blockedBy;
  }

  /** A channel, which closes with the first request that RabbitMQ refuses. */
  openChannel(): Promise<Channel> {
    return this.#opened(this.#model.createChannel());
  }

  /** A channel on which RabbitMQ confirms each message. */
  openConfirmChannel(): Promise<ConfirmChannel> {
    return this.#opened(this.#model.createConfirmChannel());
  }

  /**
   * Where the frames of one of its channels go; undefined where the client does not say, since what is needed for it is
   * in fields that its types do not have.
   */
  socketOf(channel: Channel): FrameSocket | undefined {
    const socket = socketOf(this.#model);
    const { connection } = this.#model;
    const number = "ch" in channel ? channel.ch : undefined;
    const maxFrameBytes = "frameMax" in connection ? connection.frameMax : undefined;
    if (socket === undefined || typeof number !== "number" || typeof maxFrameBytes !== "number")
      return undefined;
    return { socket, channel: number, maxFrameBytes };
  }

  /** Does something with a channel of its own, which is closed afterwards. */
  async use<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = await this.openChannel();
    let isOpen = true;
    channel.once("close", () => (isOpen = false));
    try {
      return await work(channel);
    } finally {
      if (isOpen) channel.close().catch(() => {}); // The connection is ending.
    }
  }

  /** Ends it: its channels close. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const destroy = (): void => destroySocket(this.#model);
    this.#clock.after(goodbyeMs, destroy, false);
    this.#model.close().then(destroy, destroy);
  }

  async #opened<C extends Channel>(opening: Promise<C>): Promise<C> {
    const channel = await opening;
    channel.on("error", () => {}); // Without a listener the event would throw; `close` follows.
    return channel;
  }
}

/** `amqplib` only half-closes its socket, which a peer that has gone would keep open for ever. */
function destroySocket(model: ChannelModel): void {
  socketOf(model)?.destroy();
}

/** The socket of a connection, which the client keeps in a field that its types do not have. */
function socketOf({ connection }: ChannelModel): Duplex | undefined {
  const stream = "stream" in connection ? connection.stream : undefined;
  return stream instanceof Duplex ? stream : undefined;
}

/** `amqplib` writes each frame by itself, a system call for each: those of one turn are written together. */
function joinWrites(socket: Duplex | undefined): void {
  if (socket === undefined) return;
  const write = socket.write.bind(socket) as (chunk: Uint8Array) => boolean; // As the client calls it.
  let isCorked = false;
  socket.write = (chunk: Uint8Array): boolean => {
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      process.nextTick(() => {
        isCorked = false;
        socket.uncork();
      });
    }
    return write(chunk);
  };
}

/** What RabbitMQ or its client says has gone wrong. */
export function textOf(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  // `Operation failed: QueueDeclare; 404 (NOT-FOUND) with message "NOT_FOUND - no queue …"`
  return /with message "(.*)"$/s.exec(reason.message)?.[1] ?? reason.message;
}

/** The number by which RabbitMQ has closed a channel or a connection; undefined where it has not. */
export function replyCodeOf(reason: unknown): number | undefined {
  return reason instanceof Error && "code" in reason && typeof reason.code === "number"
    ? reason.code
    : undefined;
}

/** UNAVAILABLE with what has gone wrong. */
export function unavailable(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return new ConnectError(`RabbitMQ: ${textOf(reason)}`, Code.Unavailable, undefined, undefined, reason);
}
