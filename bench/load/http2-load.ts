import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { grpcBytes, type GrpcWork } from "./grpc-work.ts";
import {
  flags,
  frame,
  FrameReader,
  FrameStamp,
  frameTypes,
  headerBlock,
  maxFrameBytes,
  opening,
  preface,
  windowUpdate,
} from "./http2-frames.ts";
import { LoadRound } from "./load-round.ts";

/** A request over HTTP/2 and the body of its reply. */
export interface Http2Work {
  /** The frames of the request. */
  readonly frames: readonly Buffer[];
  readonly answer: Buffer;
}

/** A gRPC call as a load sends it; its request fits into one frame. */
export function grpcRequest({ path, request, answer }: GrpcWork): Http2Work {
  const headers = headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "bench",
  });
  const body = grpcBytes(request);
  if (body.length > maxFrameBytes) throw new Error("a request has to fit into one frame");
  return {
    frames: [
      frame(frameTypes.headers, flags.endHeaders, 0, headers),
      frame(frameTypes.data, flags.endStream, 0, body),
    ],
    answer: grpcBytes(answer),
  };
}

/** A GET as a load sends it. */
export function getRequest(target: string, answer: Buffer): Http2Work {
  const headers = headerBlock({
    ":method": "GET",
    ":scheme": "http",
    ":path": target,
    ":authority": "localhost",
    accept: "*/*",
    "user-agent": "bench",
  });
  return { frames: [frame(frameTypes.headers, flags.endHeaders | flags.endStream, 0, headers)], answer };
}

/** How many calls a load keeps in flight. */
export interface LoadShape {
  readonly connections: number;
  readonly streamsEach: number;
}

/** Many small calls on few connections. */
export const manyCalls: LoadShape = { connections: 4, streamsEach: 16 };

/** One call after the other. */
export const oneByOne: LoadShape = { connections: 1, streamsEach: 1 };

/** Number of received bytes after which the window of a connection is updated. */
const windowShareBytes = 2 ** 29;

/**
 * Repeats the same call with a minimal HTTP/2 client: it recognises the end of a reply by the end of its stream and
 * compares bodies as bytes. A failed call has another body, so the comparison detects it.
 */
export class Http2Load {
  readonly #lanes: Lane[];
  readonly #streamsEach: number;
  #round: LoadRound | undefined;

  private constructor(work: Http2Work, sockets: readonly Socket[], streamsEach: number) {
    const owner: LaneOwner = {
      again: () => this.#round?.again() === true,
      fail: (error) => this.#round?.fail(error),
    };
    this.#lanes = sockets.map((socket) => new Lane(socket, work, owner));
    this.#streamsEach = streamsEach;
  }

  static async open(port: number, work: Http2Work, shape: LoadShape): Promise<Http2Load> {
    const sockets = Array.from({ length: shape.connections }, () =>
      connect({ port, host: "127.0.0.1", noDelay: true }),
    );
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    return new Http2Load(work, sockets, shape.streamsEach);
  }

  /**
   * Keeps all streams busy for this many milliseconds, and resolves with the number of replies.
   *
   * @throws Error for a wrong reply or a closed connection
   */
  async run(ms: number): Promise<number> {
    const round = new LoadRound(ms, Infinity);
    this.#round = round;
    for (const lane of this.#lanes) {
      for (let i = 0; i < this.#streamsEach; i++) if (round.begin()) lane.call();
      lane.flush();
    }
    return round.done;
  }

  close(): void {
    this.#round = undefined;
    for (const lane of this.#lanes) lane.close();
  }
}

interface LaneOwner {
  readonly again: () => boolean;
  readonly fail: (error: Error) => void;
}

/** One connection. */
class Lane {
  readonly #socket: Socket;
  readonly #owner: LaneOwner;
  readonly #stamp: FrameStamp;
  readonly #answer: Buffer;
  readonly #frames: FrameReader;
  /** Received bytes of bodies, by active stream. */
  readonly #open = new Map<number, number>();
  #nextStream = 1;
  #toCall = 0;
  #received = 0;

  constructor(socket: Socket, work: Http2Work, owner: LaneOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#answer = work.answer;
    this.#stamp = new FrameStamp(work.frames);
    this.#frames = new FrameReader((type, frameFlags, stream, bytes, start, end) => {
      if (type === frameTypes.data) this.#data(stream, bytes, start, end);
      if (type <= frameTypes.headers && (frameFlags & flags.endStream) !== 0) this.#ended(stream);
      else if (type === frameTypes.reset && this.#open.has(stream)) owner.fail(new Error("a call was reset"));
      else if (type >= frameTypes.settings) this.#control(type, frameFlags, bytes.subarray(start, end));
    });
    socket.write(Buffer.concat([Buffer.from(preface), opening()]));
    socket.on("data", (chunk: Buffer) => {
      this.#frames.push(chunk);
      this.flush();
      this.#openWindow();
    });
    socket.on("error", owner.fail);
    socket.on("close", () => owner.fail(new Error("the server closed a connection")));
  }

  /** Adds a call, which `flush` sends. */
  call(): void {
    this.#toCall++;
  }

  flush(): void {
    if (this.#toCall === 0) return;
    const bytes = Buffer.allocUnsafe(this.#toCall * this.#stamp.length);
    let at = 0;
    for (; this.#toCall > 0; this.#toCall--) {
      at = this.#stamp.write(bytes, at, this.#nextStream);
      this.#open.set(this.#nextStream, 0);
      this.#nextStream += 2;
    }
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  #data(stream: number, bytes: Buffer, start: number, end: number): void {
    const offset = this.#open.get(stream) ?? 0;
    const expected = this.#answer;
    if (
      end - start + offset > expected.length ||
      bytes.compare(expected, offset, offset + end - start, start, end) !== 0
    ) {
      this.#owner.fail(new Error("a wrong answer"));
    }
    this.#received += end - start;
    this.#open.set(stream, offset + end - start);
  }

  /** Updates the window of the connection, which large replies use up, although it begins at its maximum. */
  #openWindow(): void {
    if (this.#received < windowShareBytes) return;
    this.#socket.write(windowUpdate(this.#received));
    this.#received = 0;
  }

  #ended(stream: number): void {
    if (this.#open.get(stream) !== this.#answer.length) this.#owner.fail(new Error("a call has no answer"));
    this.#open.delete(stream);
    if (this.#owner.again()) this.call();
  }

  #control(type: number, frameFlags: number, payload: Buffer): void {
    if (type === frameTypes.goaway) this.#owner.fail(new Error("the server says goodbye"));
    const asked = type === frameTypes.settings || type === frameTypes.ping;
    if (!asked || (frameFlags & flags.ack) !== 0) return;
    const answer = type === frameTypes.ping ? payload : Buffer.alloc(0);
    this.#socket.write(frame(type, flags.ack, 0, answer));
  }
}
