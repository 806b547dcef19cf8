import { defaultFrameBytes, defaultWindowBytes, most31 } from "./frame.ts";
import { errorCode, Http2Error, protocolError } from "./http2-error.ts";
import { defaultTableBytes } from "./hpack/static-table.ts";

/** Identifiers of settings (RFC 9113 6.5.2, RFC 9218 2.1). */
export const setting = Object.freeze({
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  noRfc7540Priorities: 9,
});

/** The settings of a peer, which bind our side. */
export class PeerSettings {
  maxConcurrentStreams = Infinity;
  initialWindowBytes: number = defaultWindowBytes;
  maxFrameBytes: number = defaultFrameBytes;
  maxHeaderListBytes = Infinity;
  readonly #mostPush: number;

  /** @param peer Clients may allow pushes, which servers of ours never make; servers may not. */
  constructor(peer: "client" | "server") {
    this.#mostPush = peer === "client" ? 1 : 0;
  }

  /**
   * Takes over the entries of a SETTINGS frame, in their order.
   *
   * @param onTableBytes called with every SETTINGS_HEADER_TABLE_SIZE
   * @throws Http2Error for a value that is not allowed.
   */
  apply(bytes: Buffer, start: number, end: number, onTableBytes: (bytes: number) => void): void {
    for (let at = start; at < end; at += 6) {
      const value = bytes.readUInt32BE(at + 2);
      switch (bytes.readUInt16BE(at)) {
        case setting.headerTableSize:
          onTableBytes(value);
          break;
        case setting.enablePush:
          if (value > this.#mostPush) throw protocolError("SETTINGS_ENABLE_PUSH");
          break;
        case setting.maxConcurrentStreams:
          this.maxConcurrentStreams = value;
          break;
        case setting.initialWindowSize:
          if (value > most31) {
            throw new Http2Error(errorCode.flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE above 2^31 - 1");
          }
          this.initialWindowBytes = value;
          break;
        case setting.maxFrameSize:
          if (value < defaultFrameBytes || value >= 2 ** 24) throw protocolError("SETTINGS_MAX_FRAME_SIZE");
          this.maxFrameBytes = value;
          break;
        case setting.maxHeaderListSize:
          this.maxHeaderListBytes = value;
          break;
        default:
      }
    }
  }
}

/** What either side announces. */
export interface ClientSettings {
  /** What the peer may send of one stream before it is read, in bytes. */
  readonly streamWindowBytes: number;
  /** Largest payload of a frame, in bytes. */
  readonly maxFrameBytes: number;
  /** Largest list of header fields, in bytes. */
  readonly maxHeaderListBytes: number;
}

/** The entries of a client's SETTINGS frame. */
export function clientSettings(
  own: ClientSettings,
  headerTableBytes: number,
): readonly (readonly [number, number])[] {
  return [
    [setting.headerTableSize, headerTableBytes],
    [setting.enablePush, 0],
    [setting.initialWindowSize, own.streamWindowBytes],
    [setting.maxFrameSize, own.maxFrameBytes],
    [setting.maxHeaderListSize, own.maxHeaderListBytes],
    [setting.noRfc7540Priorities, 1],
  ];
}

/** What a server announces. */
export interface OwnServerSettings extends ClientSettings {
  readonly maxConcurrentStreams: number;
}

/** The entries of a server's SETTINGS frame. */
export function serverSettings(own: OwnServerSettings): readonly (readonly [number, number])[] {
  return [
    [setting.headerTableSize, defaultTableBytes],
    [setting.maxConcurrentStreams, own.maxConcurrentStreams],
    [setting.initialWindowSize, own.streamWindowBytes],
    [setting.maxFrameSize, own.maxFrameBytes],
    [setting.maxHeaderListSize, own.maxHeaderListBytes],
    [setting.noRfc7540Priorities, 1],
  ];
}
