import type { Socket } from "node:net";
import type { RawData } from "ws";
import type { BookedConnection } from "../../../core/call/booked-connection.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { closeCode, closeReason } from "./close-code.ts";
import { Heartbeat } from "./heartbeat.ts";
import { PacedSender } from "./paced-sender.ts";
import type { PeerAwareWebSocket } from "../../fastify/peer-aware-web-socket.ts";
import type { WebSocketOptions } from "../options/websocket-options.ts";
import type { Frame } from "./frame-codec.ts";

/** Receives the events of a `ClientSocket`. */
export interface SocketReader {
  /** A message of the client. */
  message(data: Buffer, isBinary: boolean): void;
  /** The client's close frame: it sends no more messages, and waits for the server's close frame. */
  peerClosed(): void;
  /** The client has disconnected or violated the protocol. Called once, unless `close` was called before. */
  disconnected(reason: ConnectError): void;
}

/** How often a paused connection is probed, in milliseconds: only a write detects that its client has disconnected. */
const probeMs = 400;

/** One WebSocket: sends with back-pressure (`PacedSender`), detects dead clients, and closes after pending messages. */
export class ClientSocket {
  readonly #ws: PeerAwareWebSocket;
  readonly #sender: PacedSender;
  readonly #heartbeat: Heartbeat;
  readonly #connection: BookedConnection | undefined;
  #reader: SocketReader | undefined;
  /** Answers the client's close frame; undefined before it is received. */
  #answerClose: (() => void) | undefined;
  #probe: NodeJS.Timeout | undefined;
  #paused = false;

  /**
   * @param socket the connection under `ws`
   * @param connection the socket in the book of a hub; undefined where there is no hub
   */
  constructor(
    ws: PeerAwareWebSocket,
    socket: Socket,
    options: WebSocketOptions,
    connection: BookedConnection | undefined,
  ) {
    this.#ws = ws;
    this.#connection = connection;
    this.#sender = new PacedSender(ws, socket, options, (reason) => this.#overflow(reason));
    this.#heartbeat = new Heartbeat(ws, socket, options, () => {
      this.#disconnected("the client answers no pings");
      ws.terminate();
    });
  }

  /** Whether the socket is open: neither closed nor closing. */
  get open(): boolean {
    return this.#reader !== undefined;
  }

  /** Starts to read. */
  listen(reader: SocketReader): void {
    this.#reader = reader;
    const ws = this.#ws;
    ws.onPeerClose = (answer) => {
      this.#sender.flush();
      this.#answerClose = answer;
      if (this.#reader === undefined) answer();
      else this.#reader.peerClosed();
    };
    // Buffers are the engine's default.
    ws.on("message", (data: RawData, isBinary) => this.#reader?.message(data as Buffer, isBinary));
    const connection = this.#connection;
    if (connection !== undefined)
      for (const event of ["message", "pong"]) ws.on(event, () => connection.seen());
    ws.on("error", (error) => {
      this.#answerClose?.(); // The engine reports a broken connection as a close frame of the client.
      this.#disconnected(error.message);
    });
    ws.once("close", () => this.#closed());
    this.#heartbeat.start();
  }

  /**
   * Sends a message. Returns a promise if the client must read something before the next one; it never rejects, also if
   * the client disconnects.
   */
  write(frame: Frame): Promise<void> | undefined {
    return this.#reader === undefined ? undefined : this.#sender.write(frame);
  }

  /** Sends a message whose caller does not wait. A client for which too many of them wait is closed with 1013. */
  writeUnpaced(data: string): void {
    if (this.#reader !== undefined) this.#sender.writeUnpaced(data);
  }

  /** Sends a close frame after all pending messages. Nothing is read from now on. */
  close(code: number, reason = ""): void {
    this.#close(() => this.#ws.closeNow(code, closeReason(reason)));
  }

  /** As `close`, with the client's own code if its close frame was received, else with 1000. */
  closeNormally(): void {
    this.#close(this.#answerClose ?? (() => this.#ws.closeNow(closeCode.normal, "")));
  }

  /** Reads nothing until `resume`. */
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

  #close(sendCloseFrame: () => void): void {
    if (this.#reader === undefined) return;
    this.#reader = undefined;
    this.resume(); // The client's close frame must be read.
    this.#sender.whenSent(() => {
      this.#stopTimers();
      sendCloseFrame();
    });
  }

  /** Closes the socket of a client that does not read its pending messages. */
  #overflow(why: string): void {
    const reader = this.#reader;
    if (reader === undefined && !this.#sender.isFinishing) return;
    this.#reader = undefined;
    this.#release();
    this.resume();
    this.#sender.flush();
    this.#ws.closeNow(closeCode.tryAgainLater, why);
    reader?.disconnected(new ConnectError(why, Code.Canceled));
  }

  #closed(): void {
    this.#disconnected("the client disconnected before the end of the call");
    this.#release();
  }

  #disconnected(why: string): void {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#release();
    reader?.disconnected(new ConnectError(why, Code.Canceled));
  }

  #release(): void {
    this.#stopTimers();
    this.#sender.release();
  }

  #stopTimers(): void {
    this.#heartbeat.stop();
    clearInterval(this.#probe);
  }
}

/** Sends an unsolicited pong: it has no meaning (RFC 6455 section 5.5.3), but fails if the client has disconnected. */
function probe(ws: PeerAwareWebSocket): void {
  if (ws.bufferedAmount === 0 && ws.readyState === ws.OPEN) ws.pong();
}
