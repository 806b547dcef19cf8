import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type HttpBody, HttpBodySchema } from "../../gen/google/api/httpbody_pb.ts";
import {
  type JoinRequest,
  type JoinResponseSchema,
  RoomService,
  type SayRequest,
  type SayResponseSchema,
  type ShareRequest,
  type ShareResponseSchema,
  type WhisperRequest,
  type WhisperResponseSchema,
} from "../../gen/tsms/test/v1/rooms_pb.ts";
import type { HandlerContext } from "../../src/core/call/context.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { Service } from "../../src/core/call/service.ts";

/** Gives back what it is told, and counts what happens to its calls. */
export class Rooms implements Service<typeof RoomService> {
  readonly descriptor = RoomService;
  /** Frames that `talk` has read. */
  talked = 0;
  /** Calls that were aborted. */
  aborted = 0;
  /** Request metadata of the last call. */
  lastHeader: Headers | undefined;
  readonly #waiters = new Set<() => void>();

  async *join(
    requests: AsyncIterable<JoinRequest>,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof JoinResponseSchema>> {
    this.#begin(context);
    for await (const { room, nick, tags, text } of requests) {
      yield { room, nick, tags, text, headers: Object.fromEntries(context.requestHeader) };
    }
  }

  async *say(
    requests: AsyncIterable<SayRequest>,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof SayResponseSchema>> {
    this.#begin(context);
    for await (const { room, loud, saying } of requests) {
      yield { saying: { text: `${room}|${loud}|${saying?.text}` } };
    }
  }

  async *talk(
    requests: AsyncIterable<HttpBody>,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof HttpBodySchema>> {
    this.#begin(context);
    for await (const { contentType, data } of requests) {
      this.talked++;
      const text = data.length < 8 ? Buffer.from(data).toString() : "";
      if (text === "fail") throw new ConnectError("told to fail", Code.Aborted);
      if (text === "bye") return;
      yield { contentType, data };
    }
  }

  async *whisper(
    requests: AsyncIterable<WhisperRequest>,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof WhisperResponseSchema>> {
    this.#begin(context);
    for await (const { room, frame } of requests) {
      const { contentType = "", data = new Uint8Array() } = frame ?? {};
      const body = create(HttpBodySchema, {
        contentType,
        data: Buffer.concat([Buffer.from(`${room}:`), data]),
      });
      yield { frame: body };
    }
  }

  async share(_request: ShareRequest): Promise<MessageInitShape<typeof ShareResponseSchema>> {
    return {};
  }

  /** Resolves as soon as `condition` holds; it is looked at whenever a call begins or is aborted. */
  async until(condition: (rooms: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  #begin(context: HandlerContext): void {
    this.lastHeader = context.requestHeader;
    context.signal.addEventListener("abort", () => {
      this.aborted++;
      this.#notify();
    });
    this.#notify();
  }

  #notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }
}
