import { connectionPreface, defaultWindowBytes, headBytes, most31 } from "./frame.ts";
import {
  goawayBytes,
  pingBytes,
  putGoaway,
  putPing,
  putPingAck,
  putRstStream,
  putSettings,
  putSettingsAck,
  putWindowUpdate,
  settingsBytes,
  shortFrameBytes,
  type Settings,
} from "./frame-writer.ts";
import type { WriteTurn } from "./write-turn.ts";

/** Sends the frames of a connection that carry no request; they leave before all headers and data of their turn. */
export class ControlWriter {
  readonly #turn: WriteTurn;

  constructor(turn: WriteTurn) {
    this.#turn = turn;
  }

  /** What a client sends first, with the largest window for the connection: one write, made at once. */
  greet(settings: Settings): void {
    const buffer = this.#turn.reserve(connectionPreface.length + settingsBytes(settings) + shortFrameBytes);
    const at = this.#turn.end;
    const end = putSettings(buffer, at + buffer.write(connectionPreface, at, "latin1"), settings);
    this.#turn.advance(putWindowUpdate(buffer, end, 0, most31 - defaultWindowBytes));
    this.#turn.send();
  }

  /** What a server sends first, with the largest window for the connection. */
  greetClient(settings: Settings): void {
    const buffer = this.#turn.reserve(settingsBytes(settings) + shortFrameBytes);
    const end = putSettings(buffer, this.#turn.end, settings);
    this.#done(putWindowUpdate(buffer, end, 0, most31 - defaultWindowBytes));
  }

  rstStream(streamId: number, code: number): void {
    const buffer = this.#turn.reserve(shortFrameBytes);
    this.#done(putRstStream(buffer, this.#turn.end, streamId, code));
  }

  /** @param streamId 0 for the connection */
  windowUpdate(streamId: number, credit: number): void {
    const buffer = this.#turn.reserve(shortFrameBytes);
    this.#done(putWindowUpdate(buffer, this.#turn.end, streamId, credit));
  }

  ping(): void {
    const buffer = this.#turn.reserve(pingBytes);
    this.#done(putPing(buffer, this.#turn.end));
  }

  /** @param start where the eight bytes of the PING begin */
  pingAck(data: Buffer, start: number): void {
    const buffer = this.#turn.reserve(pingBytes);
    this.#done(putPingAck(buffer, this.#turn.end, data, start));
  }

  settingsAck(): void {
    const buffer = this.#turn.reserve(headBytes);
    this.#done(putSettingsAck(buffer, this.#turn.end));
  }

  /**
   * Written at once, with all others of the turn.
   *
   * @param lastStreamId the last stream of the peer's that is processed
   */
  goaway(code: number, debug: string, lastStreamId = 0): void {
    const buffer = this.#turn.reserve(goawayBytes(debug));
    this.#turn.advance(putGoaway(buffer, this.#turn.end, lastStreamId, code, debug));
    this.#turn.send();
  }

  #done(end: number): void {
    this.#turn.advance(end);
    this.#turn.schedule();
  }
}
