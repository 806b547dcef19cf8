import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "../call/context.ts";
import { type PartialService, service, type ServiceImpl } from "../call/service.ts";
import { type Clock, systemClock } from "../time/clock.ts";
import { WakeablePause } from "../time/wakeable-pause.ts";
import { Examples } from "./examples.ts";

/** How a mock answers. */
export interface MockOptions {
  /** Chooses among values, see {@link ExampleOptions}. Default: 0. */
  readonly seed: number;
  /** Messages of a stream. Default: 5. */
  readonly messages: number;
  /** Time between two messages of a stream, in milliseconds. Default: 200. */
  readonly intervalMs: number;
  /** Default: that of this process. */
  readonly clock: Clock;
}

/** The defaults of {@link MockOptions}. */
export const mockDefaults: MockOptions = Object.freeze({
  seed: 0,
  messages: 5,
  intervalMs: 200,
  clock: systemClock,
});

/** The response header by which a client can tell a mock from a service. */
export const mockHeader = "x-ts-ms-mock";

/** Any message that a stream of requests brings. */
type Requests = AsyncIterable<Message>;

/**
 * A service that answers every rpc with the examples of its contract, whatever it is asked. A stream of replies has
 * several messages with a pause in front of each but the first; requests of a stream are read to their end before the
 * one reply, and beside the replies where there are many.
 */
export function mockService(
  descriptor: DescService,
  options: Partial<MockOptions> = {},
): PartialService<DescService> {
  const mock = new Mock({ ...mockDefaults, ...options });
  const handlers = descriptor.methods.map((method) => [method.localName, handlerOf(mock, method)] as const);
  // Handlers by the kinds of their rpcs, which no type can say of a service that is not known.
  return service(descriptor, Object.fromEntries(handlers) as object as Partial<ServiceImpl<DescService>>);
}

function handlerOf(mock: Mock, method: DescMethod): object {
  switch (method.methodKind) {
    case "unary":
      return (_request: Message, context: HandlerContext) => mock.reply(method, context);
    case "client_streaming":
      return async (requests: Requests, context: HandlerContext) => {
        for await (const _ of requests);
        return mock.reply(method, context);
      };
    case "server_streaming":
      return (_request: Message, context: HandlerContext) => mock.replies(method, context);
    case "bidi_streaming":
      return (requests: Requests, context: HandlerContext) => {
        void readAll(requests);
        return mock.replies(method, context);
      };
  }
}

class Mock {
  readonly #options: MockOptions;
  readonly #examples: Examples;
  /** The replies of each rpc that were made, in the order of a stream. */
  readonly #made = new Map<DescMethod, Message[]>();

  constructor(options: MockOptions) {
    this.#options = options;
    this.#examples = new Examples({ seed: options.seed });
  }

  reply(method: DescMethod, { responseHeader }: HandlerContext): Message {
    responseHeader.set(mockHeader, "1");
    return this.#reply(method, 0);
  }

  async *replies(method: DescMethod, { responseHeader, signal }: HandlerContext): AsyncGenerator<Message> {
    responseHeader.set(mockHeader, "1");
    const { messages, intervalMs, clock } = this.#options;
    const pause = new WakeablePause(clock);
    for (let turn = 0; turn < messages; turn++) {
      if (turn > 0) await pause.wait(intervalMs, signal);
      signal.throwIfAborted();
      yield this.#reply(method, turn);
    }
  }

  #reply(method: DescMethod, turn: number): Message {
    const made = this.#made.get(method) ?? [];
    this.#made.set(method, made);
    return (made[turn] ??= this.#examples.reply(method, turn));
  }
}

/** Reads requests that are of no interest, so that the client can send them. */
async function readAll(requests: Requests): Promise<void> {
  try {
    for await (const _ of requests);
  } catch {
    // The call has ended, and its replies with it.
  }
}
