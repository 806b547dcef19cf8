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

  /** The last frame of a connection, written at once with all others of the turn. */
  goaway(code: number, debug: string): void {
    const buffer = this.#turn.reserve(goawayBytes(debug));
    this.#turn.advance(putGoaway(buffer, this.#turn.end, 0, code, debug));
    this.#turn.send();
  }

  #done(end: number): void {
    this.#turn.advance(end);
    this.#turn.schedule();
  }
}
