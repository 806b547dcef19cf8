import type { AmqpOptions } from "./amqp-message.ts";

const headerFrame = 2;
const frameEnd = 0xce;
/** Type, channel and size. */
const frameStart = 7;
const longText = 0x53;
/** Class `basic`, and a field without meaning. */
const basicClass = [0, 60, 0, 0] as const;
/** Longer texts are written by the engine, shorter ones are faster by hand. */
const longestByHand = 96;

/** Which properties there are, by the bits of AMQP 0-9-1, 4.2.6.1. */
const has = {
  contentType: 0x8000,
  contentEncoding: 0x4000,
  headers: 0x2000,
  deliveryMode: 0x1000,
  correlationId: 0x0400,
  replyTo: 0x0200,
  messageId: 0x0080,
  timestamp: 0x0040,
  type: 0x0020,
  appId: 0x0008,
};

/** Begins a frame, whose size `endFrame` writes. @returns where its payload begins */
export function startFrame(into: Buffer, at: number, type: number, channel: number): number {
  into[at] = type;
  into[at + 1] = channel >>> 8;
  into[at + 2] = channel;
  return at + frameStart;
}

/** Ends the frame that begins at `start` with its payload at `at`. @returns where the next one begins */
export function endFrame(into: Buffer, start: number, at: number): number {
  putNumber(into, start + 3, at - start - frameStart);
  into[at] = frameEnd;
  return at + 1;
}

/** Writes a text of at most 255 bytes. @throws RangeError naming it, for a longer one */
export function putShort(into: Buffer, at: number, text: string, what: string): number {
  const end = putText(into, at + 1, text);
  if (end - at > 256) throw new RangeError(`${what} has ${end - at - 1} bytes: 255 are allowed`);
  into[at] = end - at - 1;
  return end;
}

/** The most bytes that the frame of these properties has. */
export function mostPropertyBytes(options: AmqpOptions): number {
  const { headers, contentType, contentEncoding, correlationId, replyTo, messageId, type, appId } = options;
  let chars = 0;
  for (const name in headers) chars += name.length + lengthOf(headers[name]) + 2;
  chars += lengthOf(contentType) + lengthOf(contentEncoding) + lengthOf(correlationId) + lengthOf(replyTo);
  chars += lengthOf(messageId) + lengthOf(type) + lengthOf(appId);
  return 3 * chars + 64;
}

function lengthOf(text: unknown): number {
  return typeof text === "string" ? text.length : 0;
}

/**
 * Writes the frame that says what a message is. Headers are texts.
 *
 * @returns where the next frame begins
 * @throws RangeError for what has no form: texts that are too long, times before 1970, headers that no frame holds
 */
export function putPropertiesFrame(
  into: Buffer,
  start: number,
  channel: number,
  options: AmqpOptions,
  bodyBytes: number,
  maxFrameBytes: number,
): number {
  let at = startFrame(into, start, headerFrame, channel);
  for (const byte of basicClass) into[at++] = byte;
  at = putLong(into, at, bodyBytes);
  const flagsAt = at;
  at = putProperties(into, at + 2, flagsAt, options);
  if (at - start >= maxFrameBytes) {
    const bytes = at - start - frameStart;
    throw new RangeError(`what is said of it has ${bytes} bytes, which exceeds a frame of ${maxFrameBytes}`);
  }
  return endFrame(into, start, at);
}

function putProperties(into: Buffer, begin: number, flagsAt: number, options: AmqpOptions): number {
  const { contentType, contentEncoding, headers, deliveryMode } = options;
  const { correlationId, replyTo, messageId, timestamp, type, appId } = options;
  let flags = 0;
  let at = begin;
  const short = (text: string | undefined, flag: number, what: string): void => {
    if (text === undefined) return;
    flags |= flag;
    at = putShort(into, at, text, what);
  };
  short(contentType, has.contentType, "its content type");
  short(contentEncoding, has.contentEncoding, "its content encoding");
  flags |= has.headers;
  at = putTable(into, at, headers);
  flags |= has.deliveryMode;
  into[at++] = deliveryMode;
  short(correlationId, has.correlationId, "its correlation id");
  short(replyTo, has.replyTo, "the queue of its reply");
  short(messageId, has.messageId, "its id");
  if (timestamp !== undefined) {
    if (timestamp < 0) throw new RangeError("its time is before 1970, which AMQP has no form for");
    flags |= has.timestamp;
    at = putLong(into, at, timestamp);
  }
  short(type, has.type, "its type");
  short(appId, has.appId, "the name of the broker");
  into[flagsAt] = flags >>> 8;
  into[flagsAt + 1] = flags;
  return at;
}

function putTable(into: Buffer, start: number, headers: Readonly<Record<string, string>>): number {
  let at = start + 4;
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    at = putShort(into, at, name, "the name of a header");
    into[at] = longText;
    const end = putText(into, at + 5, value);
    putNumber(into, at + 1, end - at - 5);
    at = end;
  }
  putNumber(into, start, at - start - 4);
  return at;
}

function putText(into: Buffer, at: number, text: string): number {
  const { length } = text;
  if (length > longestByHand) return at + into.write(text, at);
  for (let place = 0; place < length; place++) {
    const code = text.charCodeAt(place);
    if (code > 0x7f) return at + into.write(text, at);
    into[at + place] = code;
  }
  return at + length;
}

function putLong(into: Buffer, at: number, value: number): number {
  putNumber(into, at, Math.floor(value / 2 ** 32));
  putNumber(into, at + 4, value % 2 ** 32);
  return at + 8;
}

function putNumber(into: Buffer, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}
