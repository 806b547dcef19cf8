import type { Socket } from "node:net";
import type { RawData } from "ws";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { closeCode, closeReason } from "./close-code.ts";
import { FrameSender } from "./frame-sender.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { PeerAwareWebSocket } from "../../fastify/peer-aware-web-socket.ts";
import type { WebSocketOptions } from "../options/websocket-options.ts";

/** Who reads a `ClientSocket`. */
export interface SocketReader {
  /** A message of the client. */
  message(data: Buffer, isBinary: boolean): void;
  /** The client's close frame: it sends no more, and waits for ours. */
  peerClosed(): void;
  /** Nobody is there any more, or what came was no WebSocket. Called once, unless `close` was called before. */
  gone(reason: ConnectError): void;
}

/** Bytes handed to the connection and not yet taken, above which messages wait here. */
const windowBytes = 64 * 1024;

/** How often a paused connection is touched, in milliseconds: only a write shows that its client has left. */
const probeMs = 400;

interface Waiting {
  readonly data: string | Buffer;
  readonly isBinary: boolean;
  /** Undefined for messages that nobody waits for. */
  readonly sent: (() => void) | undefined;
}

/**
 * One WebSocket: sends at the pace of its client, tells dead clients from silent ones, and says when it is over.
 *
 * What waits for a client is at most a window and one message for each call; for messages that no call stands behind
 * there is a limit.
 */
export class ClientSocket {
  readonly #ws: PeerAwareWebSocket;
  readonly #options: WebSocketOptions;
  readonly #frames: FrameSender;
  readonly #heartbeat: Heartbeat;
  readonly #waiting: Waiting[] = [];
  #reader: SocketReader | undefined;
  /** What was sent in this turn of the event loop. */
  #turnBytes = 0;
  /** Bytes of waiting messages that nobody waits for. */
  #toldBytes = 0;
  /** Answers the client's close frame, once that is there. */
  #answer: (() => void) | undefined;
  /** Sends our close frame, once nothing waits any more. */
  #closing: (() => void) | undefined;
  #writeTimer: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  #paused = false;

  /** @param socket the connection under `ws` */
  constructor(ws: PeerAwareWebSocket, socket: Socket, options: WebSocketOptions) {
    this.#ws = ws;
    this.#options = options;
    this.#frames = new FrameSender(ws, socket, () => this.#sent());
    this.#heartbeat = new Heartbeat(ws, socket, options.socketHeartbeatMs, () => {
      this.#gone("the client answers no pings");
      ws.terminate();
    });
  }

  /** Whether somebody still reads it: neither closed nor closing. */
  get open(): boolean {
    return this.#reader !== undefined;
  }

  /** Starts to read. */
  listen(reader: SocketReader): void {
    this.#reader = reader;
    const ws = this.#ws;
    ws.onPeerClose = (answer) => {
      this.#frames.flush();
      this.#answer = answer;
      if (this.#reader === undefined) answer();
      else this.#reader.peerClosed();
    };
    // Buffers are what the engine gives by default.
    ws.on("message", (data: RawData, isBinary) => this.#reader?.message(data as Buffer, isBinary));
    ws.on("error", (error) => {
      this.#answer?.(); // The engine closes a broken connection as if the client had.
      this.#gone(error.message);
    });
    ws.once("close", () => this.#closed());
    this.#heartbeat.start();
  }

  /** Sends a message; a promise where the client has to take something first. Never rejects, also if nobody is there. */
  write(data: string | Buffer, isBinary: boolean): Promise<void> | undefined {
    if (this.#reader === undefined) return undefined;
    if (this.#waiting.length === 0 && this.#hasRoom()) {
      this.#send(data, isBinary);
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wait({ data, isBinary, sent: resolve });
    return promise;
  }

  /** Sends a message that nobody waits for. A client that lets too many of them pile up is closed with 1013. */
  tell(data: string): void {
    if (this.#reader === undefined) return;
    if (this.#waiting.length === 0 && this.#hasRoom()) {
      this.#send(data, false);
      return;
    }
    this.#toldBytes += data.length;
    if (this.#toldBytes > this.#options.maxSocketUnsentBytes) this.overflow("the client reads too slowly");
    else this.#wait({ data, isBinary: false, sent: undefined });
  }

  /** Sends a close frame behind everything else. Nothing is read from now on. */
  close(code: number, reason = ""): void {
    this.#close(() => this.#ws.closeNow(code, closeReason(reason)));
  }

  /** As `close`, with the client's own code where its close frame is there, else 1000. */
  closeWell(): void {
    this.#close(this.#answer ?? (() => this.#ws.closeNow(closeCode.normal, "")));
  }

  /** Gives a client up that does not take what waits for it. */
  overflow(why: string): void {
    const reader = this.#reader;
    if (reader === undefined && this.#closing === undefined) return;
    this.#reader = undefined;
    this.#release();
    this.resume();
    this.#frames.flush();
    this.#ws.closeNow(closeCode.tryAgainLater, why);
    reader?.gone(new ConnectError(why, Code.Canceled));
  }

  /** Reads no more until `resume`. */
  pause(): void {
    if (this.#paused || this.#reader === undefined) return;
    this.#paused = true;
    this.#ws.pause();
    this.#probe = setInterval(probe, probeMs, this.#ws);
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    clearInterval(this.#probe);
    this.#heartbeat.reset();
    this.#ws.resume();
  }

  /** Cuts the connection. */
  terminate(): void {
    this.#ws.terminate();
  }

  /** A turn of the event loop has come to its end. */
  nextTurn(): void {
    this.#turnBytes = 0;
    if (this.#waiting.length > 0) this.#pump();
  }

  /**
   * Whether another message can go out now. A client that takes everything at once must not keep its call running
   * for ever without a turn for all others.
   */
  #hasRoom(): boolean {
    return this.#frames.waitingBytes < windowBytes && this.#turnBytes < windowBytes;
  }

  #send(data: string | Buffer, isBinary: boolean): void {
    if (this.#turnBytes === 0) setImmediate(nextTurn, this);
    this.#turnBytes += data.length + 1;
    this.#frames.send(data, isBinary);
  }

  #wait(message: Waiting): void {
    this.#waiting.push(message);
    this.#watch();
  }

  /** The client has to take something from now on. */
  #watch(): void {
    this.#writeTimer ??= setTimeout(stalled, this.#options.socketWriteIdleMs, this);
  }

  /** The connection has taken something. */
  #sent(): void {
    if (this.#writeTimer === undefined) return;
    clearTimeout(this.#writeTimer);
    this.#writeTimer = undefined;
    this.#pump();
  }

  #pump(): void {
    while (this.#hasRoom()) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#send(message.data, message.isBinary);
      if (message.sent === undefined) this.#toldBytes -= message.data.length;
      else message.sent();
    }
    if (this.#waiting.length > 0) {
      this.#watch();
      return;
    }
    clearTimeout(this.#writeTimer);
    this.#writeTimer = undefined;
    const close = this.#closing;
    if (close === undefined) return;
    this.#closing = undefined;
    this.#stopTimers();
    this.#frames.flush();
    close();
  }

  #close(how: () => void): void {
    if (this.#reader === undefined) return;
    this.#reader = undefined;
    this.resume(); // The client's close frame has to come through.
    this.#closing = how;
    this.#pump();
  }

  #closed(): void {
    this.#gone("the client left before the end");
    this.#release();
  }

  #gone(why: string): void {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#release();
    reader?.gone(new ConnectError(why, Code.Canceled));
  }

  /** Lets go of everybody and everything that waits. */
  #release(): void {
    this.#stopTimers();
    this.#closing = undefined;
    for (const { sent } of this.#waiting.splice(0)) sent?.();
  }

  #stopTimers(): void {
    this.#heartbeat.stop();
    clearInterval(this.#probe);
    clearTimeout(this.#writeTimer);
    this.#writeTimer = undefined;
  }
}

function nextTurn(socket: ClientSocket): void {
  socket.nextTurn();
}

function stalled(socket: ClientSocket): void {
  socket.overflow("the client reads nothing");
}

/** A pong that nobody asked for says nothing (RFC 6455 section 5.5.3), but fails where nobody is. */
function probe(ws: PeerAwareWebSocket): void {
  if (ws.bufferedAmount === 0 && ws.readyState === ws.OPEN) ws.pong();
}
