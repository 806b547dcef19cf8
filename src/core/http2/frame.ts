/** Types of frames (RFC 9113 6). */
export const frameType = Object.freeze({
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
});

/** Flags of frames. */
export const frameFlag = Object.freeze({ ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 });

/** Bytes of a frame's head. */
export const headBytes = 9;

/** What a client sends first (RFC 9113 3.4). */
export const connectionPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** The largest payload before SETTINGS change it, in bytes. */
export const defaultFrameBytes = 16_384;

/** The window of a connection, and of its streams before SETTINGS change it, in bytes. */
export const defaultWindowBytes = 65_535;

/** The largest window, the largest increment, and the largest number of a stream. */
export const most31 = 2 ** 31 - 1;
