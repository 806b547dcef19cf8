import { Code, ConnectError } from "../errors/errors.ts";
import type { ClientStream } from "./client-stream.ts";
import { defaultFrameBytes, defaultWindowBytes, frameFlag, frameType, headBytes, most31 } from "./frame.ts";
import { putHead } from "./frame-writer.ts";
import { HpackEncoder, listBytesOf, mostBytesOf, writeLiterals, type FieldList } from "./hpack/encoder.ts";
import { errorCode, Http2Error } from "./http2-error.ts";
import { SendWindow } from "./send-window.ts";
import type { RequestHead } from "./session.ts";
import type { PeerSettings } from "./settings.ts";
import type { StreamTable } from "./stream-table.ts";
import { addDataFrame, addHeaderFrames, mostWaitingBytes } from "./turn-frames.ts";
import type { WriteTurn } from "./write-turn.ts";

/** Characters that no name and no value has. */
const illegal = /[\0-\u0008\u000a-\u001f\u007f\u0100-\uffff]/;

/** The block of the fields that the calls of an rpc share. */
interface PreparedBlock {
  readonly bytes: Buffer;
  /** Of the encoder's table; with another one the block is invalid. */
  readonly version: number;
}

/**
 * Sends the requests of one connection, in the order: headers of new streams, then data, one frame a stream in turn. A
 * short request follows its headers at once.
 */
export class RequestWriter {
  readonly #turn: WriteTurn;
  readonly #peer: PeerSettings;
  readonly #encoder: HpackEncoder;
  readonly #sensitive: ReadonlySet<string>;
  readonly #prepared = new Map<FieldList, PreparedBlock>();
  /** Arrays of fields that were found to be sendable. */
  readonly #checked = new Set<FieldList>();
  readonly #window = new SendWindow(defaultWindowBytes);
  /** Streams whose headers are not sent yet. */
  #unsent: ClientStream[] = [];
  /** Streams that have data to send, in turn. */
  #senders: ClientStream[] = [];
  #nextId = 1;

  /** @param sensitive names of fields whose values never enter a table */
  constructor(turn: WriteTurn, peer: PeerSettings, sensitive: ReadonlySet<string>) {
    this.#turn = turn;
    this.#peer = peer;
    this.#sensitive = sensitive;
    this.#encoder = new HpackEncoder(sensitive);
  }

  /** The number of the next stream. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Whether data waits for the socket or for windows. */
  get isHeldUp(): boolean {
    return this.#senders.length > 0;
  }

  /** A stream has closed or may be opened: sends the headers of one that waits for that. */
  room(): void {
    if (this.#unsent.length > 0) this.#turn.schedule();
  }

  /** The server's SETTINGS_HEADER_TABLE_SIZE. */
  readonly limitTable = (bytes: number): void => this.#encoder.limit(bytes);

  /**
   * Checks a request's fields.
   *
   * @throws ConnectError RESOURCE_EXHAUSTED if the server does not take so many; an Error if they cannot be sent at all.
   */
  check({ shared, own }: RequestHead): void {
    const most = this.#peer.maxHeaderListBytes;
    if (most < Infinity) {
      const bytes = listBytesOf(shared) + listBytesOf(own);
      if (bytes > most) {
        const text = `request headers of ${bytes} bytes, the server takes ${most}`;
        throw new ConnectError(text, Code.ResourceExhausted);
      }
    }
    if (!this.#checked.has(shared)) {
      checkFields(shared);
      this.#checked.add(shared);
    }
    checkFields(own);
  }

  /** Sends the headers of a new stream in this turn. */
  open(stream: ClientStream): void {
    this.#unsent.push(stream);
    this.#turn.schedule();
  }

  /** Streams whose headers were not sent and will not be. */
  dropUnsent(): ClientStream[] {
    const unsent = this.#unsent;
    this.#unsent = [];
    return unsent;
  }

  /** Sends the data of a stream when it is its turn; without headers it has its turn behind them. */
  hasWork(stream: ClientStream): void {
    if (stream.id === 0 || stream.queued || !this.#canSend(stream)) return;
    stream.queued = true;
    this.#senders.push(stream);
    this.#turn.schedule();
  }

  /** The server gives credit to a stream, or takes some back by SETTINGS. @throws Http2Error for too much */
  widen(stream: ClientStream, bytes: number): void {
    stream.sendWindow += bytes;
    if (stream.sendWindow > most31)
      throw new Http2Error(errorCode.flowControlError, "a window above 2^31 - 1");
    this.hasWork(stream);
  }

  /** The server gives credit to the connection. @throws Http2Error for too much */
  widenConnection(bytes: number): void {
    if (!this.#window.add(bytes)) throw new Http2Error(errorCode.flowControlError, "a window above 2^31 - 1");
    if (this.#senders.length > 0) this.#turn.schedule();
  }

  /**
   * Adds to the turn what can be sent.
   *
   * @param streams The streams that have numbers; new ones are added.
   * @param most How many there may be: SETTINGS may have lowered that since streams were opened.
   * @param onSent Called when a frame of a stream was added.
   * @returns the number of new streams
   */
  write(streams: StreamTable<ClientStream>, most: number, onSent: (stream: ClientStream) => void): number {
    const unsent = this.#unsent;
    let opened = 0;
    if (unsent.length > 0) {
      this.#unsent = [];
      const dataToo = this.#turn.waitingBytes < mostWaitingBytes;
      for (const stream of unsent) {
        if (stream.closed) continue;
        if (streams.size >= most) {
          this.#unsent.push(stream);
          continue;
        }
        opened++;
        stream.id = this.#nextId;
        this.#nextId += 2;
        stream.sendWindow = this.#peer.initialWindowBytes;
        streams.add(stream);
        this.#writeHead(stream.id, stream.head);
        if (!dataToo || !this.#writeShort(stream)) this.hasWork(stream);
        onSent(stream);
      }
    }
    this.#writeData(onSent);
    return opened;
  }

  /** Sends all data of a stream in one frame, if it is short. @returns whether that was done */
  #writeShort(stream: ClientStream): boolean {
    const bytes = stream.pendingBytes;
    if (
      !stream.hasWork ||
      bytes > defaultFrameBytes ||
      bytes > stream.sendWindow ||
      bytes > this.#window.bytes
    ) {
      return false;
    }
    this.#writeFrame(stream, bytes);
    return true;
  }

  #writeData(onSent: (stream: ClientStream) => void): void {
    const held: ClientStream[] = [];
    while (this.#senders.length > 0 && this.#turn.waitingBytes < mostWaitingBytes) {
      const stream = this.#senders.shift();
      if (stream === undefined) break;
      stream.queued = false;
      if (!stream.hasWork || !this.#canSend(stream)) continue;
      const bytes = Math.min(
        stream.pendingBytes,
        Math.max(stream.sendWindow, 0),
        this.#window.bytes,
        this.#peer.maxFrameBytes,
        65_536,
      );
      if (bytes === 0 && stream.pendingBytes > 0) {
        stream.queued = true;
        held.push(stream); // Until the window of the connection opens.
        continue;
      }
      this.#writeFrame(stream, bytes);
      this.hasWork(stream);
      onSent(stream);
    }
    if (held.length > 0) this.#senders = [...held, ...this.#senders];
  }

  /** Whether the stream's own window lets it send something. */
  #canSend(stream: ClientStream): boolean {
    return stream.hasWork && (stream.sendWindow > 0 || stream.pendingBytes === 0);
  }

  #writeFrame(stream: ClientStream, bytes: number): void {
    const ends = stream.ending && bytes === stream.pendingBytes;
    stream.sendWindow -= bytes;
    this.#window.take(bytes);
    addDataFrame(this.#turn, stream, bytes, ends ? frameFlag.endStream : 0);
    stream.endSent = ends;
  }

  #writeHead(streamId: number, { shared, own }: RequestHead): void {
    const prepared = this.#prepared.get(shared);
    const encoder = this.#encoder;
    if (prepared === undefined || prepared.version !== encoder.version || encoder.mustResize) {
      this.#writeNewHead(streamId, shared, own);
      return;
    }
    const { bytes } = prepared;
    const most = bytes.length + mostBytesOf(own);
    if (most > defaultFrameBytes) {
      this.#writeNewHead(streamId, shared, own);
      return;
    }
    const buffer = this.#turn.reserve(headBytes + most);
    const at = this.#turn.end;
    let end = at + headBytes;
    for (let i = 0; i < bytes.length; i++) buffer[end++] = bytes[i] ?? 0;
    end = writeLiterals(own, buffer, end, this.#sensitive);
    putHead(buffer, at, end - at - headBytes, frameType.headers, frameFlag.endHeaders, streamId);
    this.#turn.advance(end);
  }

  /** Encodes all fields of a request; what is shared is kept if it changed no table. */
  #writeNewHead(streamId: number, shared: FieldList, own: FieldList): void {
    const encoder = this.#encoder;
    const block = Buffer.allocUnsafe(16 + mostBytesOf(shared) + mostBytesOf(own));
    const start = encoder.writeResizes(block, 0);
    const { version } = encoder;
    let end = encoder.writeShared(shared, block, start);
    if (encoder.version === version) {
      this.#prepared.set(shared, { bytes: Buffer.from(block.subarray(start, end)), version });
    }
    end = writeLiterals(own, block, end, this.#sensitive);
    addHeaderFrames(this.#turn, streamId, block, end, 0, this.#peer.maxFrameBytes);
  }
}

function checkFields(fields: FieldList): void {
  for (const text of fields) if (illegal.test(text)) throw new Error("invalid characters in a header field");
}
