import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  FeedService,
  type AppendRequest,
  type AppendResponseSchema,
  type FollowItemsRequest,
  type FollowItemsResponseSchema,
  type FollowRequest,
  type FollowResponseSchema,
} from "../../gen/tsms/test/v1/feed_pb.ts";
import type { HandlerContext } from "../../src/core/call/context.ts";
import type { Service } from "../../src/core/call/service.ts";

/** A feed with a memory: a reader that comes again goes on where it left, or hears that it has missed something. */
export class Feed implements Service<typeof FeedService> {
  readonly descriptor = FeedService;
  readonly #memory: number;
  readonly #items: { readonly position: number; readonly text: string }[] = [];
  #last = 0;
  #wake = Promise.withResolvers<void>();

  /** @param memory How many items are remembered. */
  constructor(memory: number) {
    this.#memory = memory;
  }

  publish(text: string): void {
    this.#items.push({ position: ++this.#last, text });
    if (this.#items.length > this.#memory) this.#items.shift();
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  async *follow(
    { count }: FollowRequest,
    { requestHeader, signal }: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof FollowResponseSchema>> {
    let seen = Number(requestHeader.get("last-event-id") ?? 0);
    let given = 0;
    const left = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => left.resolve(), { once: true });
    while (!signal.aborted) {
      const oldest = this.#items[0]?.position ?? this.#last + 1;
      if (seen + 1 < oldest) {
        seen = oldest - 1;
        yield { position: BigInt(seen), reset: true };
      }
      for (const { position, text } of this.#items.filter((item) => item.position > seen)) {
        seen = position;
        yield { position: BigInt(position), text };
        if (++given === count) return;
      }
      await Promise.race([this.#wake.promise, left.promise]);
    }
  }

  async *followItems({
    count,
  }: FollowItemsRequest): AsyncGenerator<MessageInitShape<typeof FollowItemsResponseSchema>> {
    for (const { position, text } of this.#items.slice(0, count)) {
      yield { cursor: text, item: { number: BigInt(position), text } };
    }
  }

  async append(
    requests: AsyncIterable<AppendRequest>,
  ): Promise<MessageInitShape<typeof AppendResponseSchema>> {
    const all: AppendRequest[] = [];
    for await (const request of requests) all.push(request);
    return { requests: all };
  }
}
