import { connect, type Socket } from "node:net";
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
import { LoadRound } from "./http-load.ts";

/** A unary gRPC call and its expected reply. */
export interface GrpcWork {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly request: Uint8Array;
  readonly answer: Uint8Array;
  /** Whether other bytes encode the same request, since serializers may order fields differently. Default: never. */
  readonly isRequest?: (bytes: Uint8Array) => boolean;
}

/** Number of connections of a load, and of calls in flight on each. */
const connectionCount = 4;
const streamsEach = 16;

/**
 * Repeats the same unary call with a minimal HTTP/2 client: it recognises the end of a reply by the end of its stream
 * and compares messages as bytes. A failed call has no message, so the comparison detects it.
 */
export class GrpcLoad {
  readonly #lanes: Lane[];
  #round: LoadRound | undefined;

  private constructor(work: GrpcWork, sockets: readonly Socket[]) {
    const owner: LaneOwner = {
      again: () => this.#round?.again() === true,
      fail: (error) => this.#round?.fail(error),
    };
    this.#lanes = sockets.map((socket) => new Lane(socket, work, owner));
  }

  static async open(port: number, work: GrpcWork): Promise<GrpcLoad> {
    const sockets = Array.from({ length: connectionCount }, () =>
      connect({ port, host: "127.0.0.1", noDelay: true }),
    );
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    return new GrpcLoad(work, sockets);
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
      for (let i = 0; i < streamsEach; i++) if (round.begin()) lane.call();
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
  /** Received bytes of messages, by active stream. */
  readonly #open = new Map<number, number>();
  #nextStream = 1;
  #toCall = 0;

  constructor(socket: Socket, work: GrpcWork, owner: LaneOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#answer = grpcMessage(work.answer);
    const headers = headerBlock({
      ":method": "POST",
      ":scheme": "http",
      ":path": work.path,
      ":authority": "localhost",
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "bench",
    });
    this.#stamp = new FrameStamp([
      frame(frameTypes.headers, flags.endHeaders, 0, headers),
      frame(frameTypes.data, flags.endStream, 0, grpcMessage(work.request)),
    ]);
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
    this.#open.set(stream, offset + end - start);
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
