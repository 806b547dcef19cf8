import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { EchoResponseSchema } from "../../gen/tsms/test/v1/echo_pb.ts";
import { flag, frameType, hpack, http2Frame, preface, RawHttp2, type SeenFrame } from "./http2-frames.ts";
import { frame } from "./raw-grpc-server.ts";

/** An HTTP/2 server of bare frames: it sends SETTINGS, and then whatever a test makes it send. */
export class RawHttp2Server implements AsyncDisposable {
  readonly connections: RawHttp2[] = [];
  readonly #server: Server;

  /** @param onConnection Called with every connection; its SETTINGS are `settings`. */
  constructor(onConnection: (raw: RawHttp2, index: number) => void, settings: Buffer = settingsFrame()) {
    this.#server = createServer((socket: Socket) => {
      const raw = new RawHttp2(socket, preface.length);
      socket.setNoDelay(true);
      raw.send(settings, settingsAck);
      onConnection(raw, this.connections.push(raw) - 1);
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get target(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`; // Listens on TCP.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const raw of this.connections) raw.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** A SETTINGS frame. */
export function settingsFrame(...entries: (readonly [identifier: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * entries.length);
  for (const [index, [identifier, value]] of entries.entries()) {
    payload.writeUInt16BE(identifier, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return http2Frame(frameType.settings, 0, 0, payload);
}

const settingsAck = http2Frame(frameType.settings, flag.ack, 0);

/** Header fields of a reply. */
export const replyFields = [
  [":status", "200"],
  ["content-type", "application/grpc"],
] as const;

/** A HEADERS frame. */
export function headersFrame(
  streamId: number,
  fields: readonly (readonly [string, string])[],
  flags: number = flag.endHeaders,
): Buffer {
  return http2Frame(frameType.headers, flags, streamId, hpack(fields));
}

/** The trailers of a reply. */
export function trailersFrame(streamId: number, status = "0"): Buffer {
  return headersFrame(streamId, [["grpc-status", status]], flag.endHeaders | flag.endStream);
}

/** A complete reply of the rpc `Echo`, in three frames. */
export function echoReply(streamId: number, text: string): Buffer {
  const message = frame(toBinary(EchoResponseSchema, create(EchoResponseSchema, { text })));
  return Buffer.concat([
    headersFrame(streamId, replyFields),
    http2Frame(frameType.data, 0, streamId, message),
    trailersFrame(streamId),
  ]);
}

/** Calls `answer` with every request as soon as it is complete. */
export function onRequests(raw: RawHttp2, answer: (streamId: number, frame: SeenFrame) => void): void {
  let seen = 0;
  raw.socket.on("data", () => {
    for (; seen < raw.frames.length; seen++) {
      const one = raw.frames[seen];
      if (one === undefined) continue;
      const mayEnd = one.type === frameType.data || one.type === frameType.headers;
      if (mayEnd && (one.flags & flag.endStream) !== 0) answer(one.streamId, one);
    }
  });
}
