import { grpcBytes, messagesOf, type GrpcWork } from "./grpc-work.ts";
import {
  flags,
  frame,
  FrameStamp,
  frameTypes,
  grpcMessage,
  headerBlock,
  maxFrameBytes,
} from "./http2-frames.ts";

/** Frames of a reply that are sent together. */
export interface AnswerPiece {
  readonly stamp: FrameStamp;
  /** Bytes that count for flow control; at most those of one frame of the maximum size. */
  readonly dataBytes: number;
}

/** A reply: its headers are in the first piece, its trailers in the last. */
export type Answer = readonly AnswerPiece[];

/** Encoded requests with their encoded replies. */
export class AnswerBook {
  readonly #works: readonly { readonly work: GrpcWork; readonly answer: Answer }[];
  /** The reply to every request. Undefined: requests are compared. */
  readonly #toAll: Answer | undefined;
  readonly #known: { readonly request: Buffer; readonly answer: Answer }[];

  constructor(works: readonly GrpcWork[]) {
    this.#works = works.map((work) => ({ work, answer: answerTo(work) }));
    this.#toAll = this.#works.find(({ work }) => work.isForAll === true)?.answer;
    this.#known = this.#works.map(({ work, answer }) => ({ request: grpcBytes(work.request), answer }));
  }

  /** An unknown encoding of a request is decoded once and then remembered. */
  find(request: Buffer): Answer | undefined {
    if (this.#toAll !== undefined) return this.#toAll;
    const known = this.#known.find((one) => one.request.equals(request));
    if (known !== undefined) return known.answer;
    const messages = plainMessages(request);
    const meant = messages && this.#works.find(({ work }) => isRequest(work, messages));
    if (meant !== undefined) this.#known.push({ request: Buffer.from(request), answer: meant.answer });
    return meant?.answer;
  }
}

/** Length of the prefix of messages in gRPC. */
const prefixBytes = 5;

/** The messages of a request; undefined if one is compressed or incomplete. */
function plainMessages(request: Buffer): Uint8Array[] | undefined {
  const messages: Uint8Array[] = [];
  let at = 0;
  while (at + prefixBytes <= request.length && request[at] === 0) {
    const end = at + prefixBytes + request.readUInt32BE(at + 1);
    messages.push(new Uint8Array(request.subarray(at + prefixBytes, end)));
    at = end;
  }
  return at === request.length ? messages : undefined;
}

/** Whether messages are an encoding of the request; false if one is no message of its type. */
function isRequest(work: GrpcWork, messages: readonly Uint8Array[]): boolean {
  if (messages.length !== messagesOf(work.request).length) return false;
  try {
    return messages.every((message, index) => work.isRequest?.(message, index) === true);
  } catch {
    return false;
  }
}

function answerTo({ answer }: GrpcWork): Answer {
  const headers = headerBlock({ ":status": "200", "content-type": "application/grpc" });
  const trailers = headerBlock({ "grpc-status": "0" });
  const groups = inGroups(messagesOf(answer).flatMap((message) => inFrames(grpcMessage(message))));
  return groups.map((group, index) => ({
    stamp: new FrameStamp([
      ...(index === 0 ? [frame(frameTypes.headers, flags.endHeaders, 0, headers)] : []),
      ...group.map((piece) => frame(frameTypes.data, 0, 0, piece)),
      ...(index === groups.length - 1
        ? [frame(frameTypes.headers, flags.endHeaders | flags.endStream, 0, trailers)]
        : []),
    ]),
    dataBytes: sum(group),
  }));
}

/** The payloads of the frames of a message: as usual servers do, no frame has parts of two messages. */
function inFrames(message: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(message.length / maxFrameBytes) }, (_, index) =>
    message.subarray(index * maxFrameBytes, (index + 1) * maxFrameBytes),
  );
}

/** Payloads in order, as many in a group as a frame of the maximum size could hold; at least one group. */
function inGroups(payloads: readonly Buffer[]): readonly (readonly Buffer[])[] {
  let group: Buffer[] = [];
  let bytes = 0;
  const groups = [group];
  for (const payload of payloads) {
    if (bytes + payload.length > maxFrameBytes) {
      groups.push((group = []));
      bytes = 0;
    }
    group.push(payload);
    bytes += payload.length;
  }
  return groups;
}

function sum(payloads: readonly Buffer[]): number {
  return payloads.reduce((bytes, { length }) => bytes + length, 0);
}
