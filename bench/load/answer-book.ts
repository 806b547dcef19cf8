import type { GrpcWork } from "./grpc-load.ts";
import {
  flags,
  frame,
  FrameStamp,
  frameTypes,
  grpcMessage,
  headerBlock,
  maxFrameBytes,
} from "./http2-frames.ts";

/** The frames of a reply. */
export interface Answer {
  readonly stamp: FrameStamp;
  /** Bytes that count for flow control. */
  readonly dataBytes: number;
}

/** Encoded requests with their encoded replies. */
export class AnswerBook {
  readonly #works: readonly { readonly work: GrpcWork; readonly answer: Answer }[];
  readonly #known: { readonly request: Buffer; readonly answer: Answer }[];

  constructor(works: readonly GrpcWork[]) {
    this.#works = works.map((work) => ({ work, answer: answerTo(work) }));
    this.#known = this.#works.map(({ work, answer }) => ({ request: grpcMessage(work.request), answer }));
  }

  /** An unknown encoding of a request is decoded once and then remembered. */
  find(request: Buffer): Answer | undefined {
    const known = this.#known.find((one) => one.request.equals(request));
    if (known !== undefined) return known.answer;
    const message = new Uint8Array(request.subarray(prefixBytes));
    const meant = grpcMessage(message).equals(request) // It is not compressed, and there is only one.
      ? this.#works.find(({ work }) => isRequest(work, message))
      : undefined;
    if (meant !== undefined) this.#known.push({ request: Buffer.from(request), answer: meant.answer });
    return meant?.answer;
  }
}

/** Length of the prefix of messages in gRPC. */
const prefixBytes = 5;

/** Whether bytes are an encoding of the request; false if they are no message of its type. */
function isRequest(work: GrpcWork, message: Uint8Array): boolean {
  try {
    return work.isRequest?.(message) === true;
  } catch {
    return false;
  }
}

function answerTo({ answer }: GrpcWork): Answer {
  const headers = headerBlock({ ":status": "200", "content-type": "application/grpc" });
  const trailers = headerBlock({ "grpc-status": "0" });
  const message = grpcMessage(answer);
  const pieces = Array.from({ length: Math.ceil(message.length / maxFrameBytes) }, (_, index) =>
    message.subarray(index * maxFrameBytes, (index + 1) * maxFrameBytes),
  );
  return {
    stamp: new FrameStamp([
      frame(frameTypes.headers, flags.endHeaders, 0, headers),
      ...pieces.map((piece) => frame(frameTypes.data, 0, 0, piece)),
      frame(frameTypes.headers, flags.endHeaders | flags.endStream, 0, trailers),
    ]),
    dataBytes: message.length,
  };
}
