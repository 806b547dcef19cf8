import type { Socket } from "node:net";
import { ControlWriter } from "./control-writer.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { http2Counts, type ConnectionEnd, type CountedConnection } from "./http2-counts.ts";
import { errorCode, Http2Error, protocolError } from "./http2-error.ts";
import type { IncomingRequest } from "./incoming-request.ts";
import { PrefaceReader, RequestDecoder } from "./request-decoder.ts";
import { ServerGuard } from "./server-guard.ts";
import type { ServerSessionOptions } from "./server-session-options.ts";
import type { ServerStream } from "./server-stream.ts";
import { ServerStreams } from "./server-streams.ts";
import { SessionDrain } from "./session-drain.ts";
import { SessionLife, type LivingSession } from "./session-life.ts";
import { PeerSettings, serverSettings } from "./settings.ts";
import { WriteTurn } from "./write-turn.ts";

export type { ServerSessionOptions };

/** What a session reports. */
export interface ServerSessionListener {
  /** A request is to be served now; the stream needs a listener before the call returns. */
  onRequest(stream: ServerStream, request: IncomingRequest, session: ServerSession): void;
  /** The connection is gone. */
  onClose(session: ServerSession): void;
}

const counts = http2Counts.server;

/** The largest list of header fields that is kept, in bytes. */
const maxHeaderListBytes = 65_535;

/** How long a client may take to leave an idle connection that is to be closed, in milliseconds. */
const leavingMs = 1_000;

/**
 * A connection of our own engine (RFC 9113): the server's side. It reads the frames of a client. Those of streams are the
 * matter of `ServerStreams`, what a client may do beside useful work that of `ServerGuard`, time that of `SessionLife`,
 * and the end that of `SessionDrain`.
 */
export class ServerSession implements FrameSink, LivingSession, CountedConnection {
  readonly #socket: Socket;
  readonly #control: ControlWriter;
  readonly #reader: FrameReader;
  readonly #preface = new PrefaceReader();
  readonly #decoder = new RequestDecoder(maxHeaderListBytes);
  readonly #peer = new PeerSettings("client");
  readonly #guard: ServerGuard;
  /** Whether a client without calls has to be quiet. */
  readonly #mayNotPingIdle: boolean;
  readonly #streams: ServerStreams;
  readonly #life: SessionLife;
  readonly #drain: SessionDrain;
  readonly #turn: WriteTurn;
  #ready = false;
  /** Whether nothing is read and sent any more. */
  #over = false;
  /** Since when no stream is open, in `performance.now()` milliseconds. */
  #emptiedMs = performance.now();
  #leaving = false;

  constructor(socket: Socket, options: ServerSessionOptions, listener: ServerSessionListener) {
    const { streamWindowBytes, maxFrameBytes, maxConcurrentStreams } = options;
    this.#socket = socket;
    this.#turn = new WriteTurn(socket, this.#fill, this.#onWritten);
    this.#control = new ControlWriter(this.#turn);
    this.#mayNotPingIdle = options.pingsWithoutCalls === false;
    this.#guard = new ServerGuard(socket, options, options.minPingIntervalMs);
    this.#drain = new SessionDrain(socket, this.#control);
    this.#streams = new ServerStreams(options, {
      turn: this.#turn,
      control: this.#control,
      peer: this.#peer,
      guard: this.#guard,
      drain: this.#drain,
      tableBytes: () => this.#decoder.tableBytes,
      serve: (stream, request) => listener.onRequest(stream, request, this),
      emptied: this.#emptied,
    });
    this.#reader = new FrameReader(this, { maxFrameBytes, maxBlockBytes: 2 * maxHeaderListBytes });
    this.#life = new SessionLife(socket, options, this);
    counts.begin(this);
    socket.setNoDelay(true);
    socket.on("error", () => this.#drain.blame("lost")); // The event `close` follows.
    socket.once("close", () => {
      this.#lose();
      counts.end(this, this.#drain.closed());
      listener.onClose(this);
    });
    // Node counts more streams than there are, so that servers on it announce twice their limit; so do we.
    const announced = Math.min(2 * maxConcurrentStreams, 2 ** 32 - 1);
    this.#control.greetClient(
      serverSettings({
        maxConcurrentStreams: announced,
        streamWindowBytes,
        maxFrameBytes,
        maxHeaderListBytes,
      }),
    );
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve())));
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Since when no stream is open, in `performance.now()` milliseconds; undefined while one is, and at the end. */
  get idleSinceMs(): number | undefined {
    return this.#over || this.#leaving || this.#streams.size > 0 ? undefined : this.#emptiedMs;
  }

  /** Closes the connection by GOAWAY if no stream is open, or soon where the client does not answer. */
  closeIfIdle(): boolean {
    if (this.idleSinceMs === undefined) return false;
    this.#leaving = true;
    this.drain("idle");
    setTimeout(() => {
      if (!this.isBusy) this.cut("idle");
    }, leavingMs).unref();
    return true;
  }

  get isBusy(): boolean {
    return this.#streams.size > 0;
  }

  /** Whether the client was asked to go elsewhere. */
  get isLeaving(): boolean {
    return this.#over || this.#drain.isAnnounced;
  }

  /** Asks the client to go elsewhere; the connection closes when its last stream has. */
  drain(cause: ConnectionEnd = "drain"): void {
    if (!this.#over) this.#drain.announce(cause, () => this.#finishDrain());
  }

  /** Closes the connection at once. */
  destroy(): void {
    this.cut("drain");
  }

  cut(cause: ConnectionEnd): void {
    this.#drain.blame(cause);
    this.#lose();
    this.#socket.destroy();
  }

  probe(): void {
    if (!this.#over) this.#control.ping();
  }

  headers(streamId: number, ended: boolean, bytes: Buffer, start: number, end: number): void {
    this.#guard.received();
    this.#streams.headers(streamId, ended, this.#decoder.decode(bytes, start, end));
  }

  data(streamId: number, length: number): void {
    this.#guard.received();
    this.#streams.data(streamId, length);
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    this.#streams.dataBytes(bytes, start, end);
  }

  dataEnd(ended: boolean): void {
    this.#streams.dataEnd(ended);
  }

  rstStream(streamId: number): void {
    this.#streams.rstStream(streamId);
  }

  settings(bytes: Buffer, start: number, end: number): void {
    if (this.#ready) this.#guard.settings((end - start) / 6);
    this.#ready = true;
    this.#life.greeted();
    const windowBefore = this.#peer.initialWindowBytes;
    this.#peer.apply(bytes, start, end, this.#streams.limitTable);
    const change = this.#peer.initialWindowBytes - windowBefore;
    if (change !== 0) this.#streams.widenAll(change);
    this.#guard.answer();
    this.#control.settingsAck();
  }

  settingsAck(): void {}

  ping(ack: boolean, bytes: Buffer, start: number): void {
    if (ack) {
      this.#drain.acknowledged();
      return;
    }
    this.#guard.ping(this.#mayNotPingIdle && this.#streams.size === 0);
    this.#guard.answer();
    this.#control.pingAck(bytes, start);
  }

  goaway(_lastStreamId: number, code: number): void {
    if (code !== errorCode.noError) this.#drain.blame("goaway");
    this.#finishDrain();
  }

  windowUpdate(streamId: number, increment: number): void {
    if (streamId !== 0) this.#streams.widen(streamId, increment);
    else if (increment === 0) throw protocolError("WINDOW_UPDATE of 0");
    else this.#streams.widenConnection(increment);
  }

  ignored(): void {
    this.#guard.glitch("frames without a meaning");
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    try {
      const rest = this.#preface.isComplete ? chunk : this.#preface.read(chunk);
      if (rest.length > 0) this.#reader.push(rest, rest.length);
    } catch (error) {
      this.#breakOff(error);
    }
  }

  readonly #emptied = (): void => {
    this.#emptiedMs = performance.now();
    this.#life.idle();
    if (this.#drain.isFinal) this.#leave();
  };

  /** No stream that comes after this one is processed. */
  #finishDrain(): void {
    if (this.#over || this.#drain.isFinal) return;
    const { size, last } = this.#streams;
    this.#drain.finish(last, size > 0);
    if (size === 0) this.#leave();
  }

  /** The connection is gone, or as good as gone. */
  #lose(): void {
    if (this.#over) return;
    this.#stop();
    this.#streams.closeAll();
  }

  #stop(): void {
    this.#over = true;
    this.#life.end();
    this.#streams.stop();
  }

  /** Ends the connection because of what the client has sent. */
  #breakOff(reason: unknown): void {
    if (this.#over) return;
    const error =
      reason instanceof Http2Error ? reason : new Http2Error(errorCode.internalError, "an internal error");
    this.#drain.blame(error.code === errorCode.enhanceYourCalm ? "flood" : "protocol");
    this.#drain.leave(error.code, error.message.slice(0, 64), this.#streams.last);
    this.#lose();
  }

  /** Ends a connection without streams. */
  #leave(): void {
    if (this.#over) return;
    this.#drain.leave(errorCode.noError, "", this.#streams.last);
    this.#stop();
  }

  readonly #fill = (): void => {
    if (!this.#over) this.#streams.fill();
  };

  readonly #onWritten = (): void => {
    if (this.#socket.writableLength === 0) this.#guard.emptied();
    if (!this.#over && this.#streams.isHeldUp) this.#turn.schedule();
  };
}
