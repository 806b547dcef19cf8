import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import {
  flags,
  frame,
  FrameReader,
  FrameStamp,
  frameTypes,
  grpcMessage,
  headerBlock,
  opening,
  preface,
} from "./http2-frames.ts";
import type { GrpcWork } from "./grpc-load.ts";

/** A gRPC server that knows its answers by heart. */
export interface CannedBackend {
  readonly port: number;
  close(): void;
}

/**
 * Answers unary calls from a list of requests and replies, whatever their rpc, at so little cost that it is never what
 * limits a client. A request that is not on the list breaks the connection.
 */
export async function startCannedBackend(works: readonly GrpcWork[]): Promise<CannedBackend> {
  const answers = new Map(works.map((work) => [keyOf(grpcMessage(work.request)), answerTo(work)]));
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    serve(socket, answers);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function serve(socket: Socket, answers: ReadonlyMap<string, FrameStamp>): void {
  const requests = new Map<number, Buffer>();
  let out: { readonly stamp: FrameStamp; readonly stream: number }[] = [];
  let begun = false;
  const frames = new FrameReader((type, frameFlags, stream, bytes, start, end) => {
    const payload = bytes.subarray(start, end);
    if (type === frameTypes.data) {
      const before = requests.get(stream);
      const request = before === undefined ? payload : Buffer.concat([before, payload]);
      if ((frameFlags & flags.endStream) === 0) {
        requests.set(stream, request);
        return;
      }
      requests.delete(stream);
      const stamp = answers.get(keyOf(request));
      if (stamp === undefined || (frameFlags & flags.padded) !== 0) socket.destroy();
      else out.push({ stamp, stream });
    } else if ((type === frameTypes.settings || type === frameTypes.ping) && (frameFlags & flags.ack) === 0) {
      socket.write(frame(type, flags.ack, 0, type === frameTypes.ping ? payload : Buffer.alloc(0)));
    }
  });
  socket.write(opening());
  socket.on("data", (chunk: Buffer) => {
    frames.push(begun ? chunk : chunk.subarray(preface.length));
    begun = true;
    if (out.length === 0) return;
    const bytes = Buffer.allocUnsafe(out.reduce((sum, { stamp }) => sum + stamp.length, 0));
    let at = 0;
    for (const { stamp, stream } of out) at = stamp.write(bytes, at, stream);
    out = [];
    socket.write(bytes);
  });
}

function keyOf(message: Buffer): string {
  return message.toString("latin1");
}

function answerTo({ answer }: GrpcWork): FrameStamp {
  const headers = headerBlock({ ":status": "200", "content-type": "application/grpc" });
  const trailers = headerBlock({ "grpc-status": "0" });
  return new FrameStamp([
    frame(frameTypes.headers, flags.endHeaders, 0, headers),
    frame(frameTypes.data, 0, 0, grpcMessage(answer)),
    frame(frameTypes.headers, flags.endHeaders | flags.endStream, 0, trailers),
  ]);
}
