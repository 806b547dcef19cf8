import assert from "node:assert/strict";
import type { DescService, Message, MessageInitShape, DescMessage } from "@bufbuild/protobuf";
import {
  Code,
  createClient,
  dial,
  type ConnectError,
  type DialedTransport,
  type DialOptions,
} from "../../src/index.ts";
import type { CallOptions } from "../../src/core/call/client.ts";
import type { Payload } from "./test-service.ts";

interface SimpleResponse {
  readonly payload?: Payload;
}

type Init = MessageInitShape<DescMessage>;

/** The client of the suite's contract, which is only known at run time. */
export interface TestClient {
  emptyCall(request: Init, options?: CallOptions): Promise<Message>;
  unaryCall(request: Init, options?: CallOptions): Promise<SimpleResponse>;
  streamingOutputCall(request: Init, options?: CallOptions): AsyncIterable<SimpleResponse>;
  streamingInputCall(
    requests: AsyncIterable<Init>,
    options?: CallOptions,
  ): Promise<{ readonly aggregatedPayloadSize: number }>;
  fullDuplexCall(requests: AsyncIterable<Init>, options?: CallOptions): AsyncIterable<SimpleResponse>;
  unimplementedCall(request: Init, options?: CallOptions): Promise<Message>;
}

/** One case of the suite with our client; rejects when it fails. */
export type ClientCase = (
  target: string,
  contract: DescService,
  options?: Partial<DialOptions>,
) => Promise<void>;

const requestSizes = [27_182, 8, 1828, 45_904] as const;
const responseSizes = [31_415, 9, 2653, 58_979] as const;
const initialKey = "x-grpc-test-echo-initial";
const trailingKey = "x-grpc-test-echo-trailing-bin";

/**
 * The client side of the suite's cases, as specified.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md
 */
export const clientCases: Readonly<Record<string, ClientCase>> = {
  empty_unary: withClient(async (client) => void (await client.emptyCall({}))),
  large_unary: withClient(largeUnary),
  client_streaming: withClient(async (client) => {
    const { aggregatedPayloadSize } = await client.streamingInputCall(
      stream(requestSizes.map((size) => ({ payload: body(size) }))),
    );
    assert.equal(aggregatedPayloadSize, 74_922);
  }),
  server_streaming: withClient(async (client) => {
    const responseParameters = responseSizes.map((size) => ({ size }));
    assert.deepEqual(await sizes(client.streamingOutputCall({ responseParameters })), [...responseSizes]);
  }),
  ping_pong: withClient(pingPong),
  empty_stream: withClient(async (client) => {
    assert.deepEqual(await sizes(client.fullDuplexCall(stream([]))), []);
  }),
  timeout_on_sleeping_server: withClient(async (client) => {
    const requests = stream([
      { payload: body(27_182), responseParameters: [{ size: 31_415, intervalUs: 5_000_000 }] },
    ]);
    await rejects(sizes(client.fullDuplexCall(requests, { timeoutMs: 1 })), Code.DeadlineExceeded);
  }),
  cancel_after_begin: withClient(async (client) => {
    const abort = new AbortController();
    const never = (async function* (): AsyncGenerator<Init> {
      await new Promise((resolve) => abort.signal.addEventListener("abort", resolve));
      yield* [];
    })();
    const call = client.streamingInputCall(never, { signal: abort.signal });
    setImmediate(() => abort.abort());
    await rejects(call, Code.Canceled);
  }),
  cancel_after_first_response: withClient(async (client) => {
    const abort = new AbortController();
    const endless = (async function* (): AsyncGenerator<Init> {
      yield { responseParameters: [{ size: 31_415 }], payload: body(27_182) };
      await new Promise((resolve) => abort.signal.addEventListener("abort", resolve));
    })();
    const replies = client.fullDuplexCall(endless, { signal: abort.signal })[Symbol.asyncIterator]();
    const first = await replies.next();
    assert.ok(first.done !== true);
    assert.equal(first.value.payload?.body.length, 31_415);
    abort.abort();
    await rejects(replies.next(), Code.Canceled);
  }),
  status_code_and_message: withClient(async (client) => {
    const responseStatus = { code: 2, message: "test status message" };
    await rejects(client.unaryCall({ responseStatus }), Code.Unknown, responseStatus.message);
    const replies = client.fullDuplexCall(stream([{ responseStatus }]));
    await rejects(sizes(replies), Code.Unknown, responseStatus.message);
  }),
  special_status_message: withClient(async (client) => {
    const message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
    await rejects(client.unaryCall({ responseStatus: { code: 2, message } }), Code.Unknown, message);
  }),
  custom_metadata: withClient(async (client) => {
    const seen = new Map<string, string | null>();
    const options: CallOptions = {
      headers: { [initialKey]: "test_initial_metadata_value", [trailingKey]: "q6ur" },
      onHeader: (headers) => void seen.set(initialKey, headers.get(initialKey)),
      onTrailer: (trailers) => void seen.set(trailingKey, trailers.get(trailingKey)),
    };
    const check = (): void => {
      assert.equal(seen.get(initialKey), "test_initial_metadata_value");
      assert.equal(seen.get(trailingKey)?.replace(/=+$/, ""), "q6ur");
      seen.clear();
    };
    await client.unaryCall({ responseSize: 314_159, payload: body(271_828) }, options);
    check();
    const request = { responseParameters: [{ size: 314_159 }], payload: body(271_828) };
    assert.deepEqual(await sizes(client.fullDuplexCall(stream([request]), options)), [314_159]);
    check();
  }),
  unimplemented_method: withClient((client) => rejects(client.unimplementedCall({}), Code.Unimplemented)),
  unimplemented_service: async (target, contract, options) => {
    const missing = contract.file.services.find(({ name }) => name === "UnimplementedService");
    assert.ok(missing);
    await withClient((client) => rejects(client.unimplementedCall({}), Code.Unimplemented))(
      target,
      missing,
      options,
    );
  },
  rpc_soak: withClient(async (client) => {
    for (let i = 0; i < 10; i++) await largeUnary(client);
  }),
  channel_soak: async (target, contract, options) => {
    for (let i = 0; i < 10; i++) await withClient(largeUnary)(target, contract, options);
  },
};

async function largeUnary(client: TestClient): Promise<void> {
  const { payload } = await client.unaryCall({ responseSize: 314_159, payload: body(271_828) });
  assert.equal(payload?.body.length, 314_159);
}

async function pingPong(client: TestClient): Promise<void> {
  let answered: () => void = () => {};
  const requests = (async function* (): AsyncGenerator<Init> {
    for (const [index, size] of requestSizes.entries()) {
      const reply = new Promise<void>((resolve) => (answered = resolve));
      yield { responseParameters: [{ size: responseSizes[index] ?? 0 }], payload: body(size) };
      await reply;
    }
  })();
  const seen: number[] = [];
  for await (const { payload } of client.fullDuplexCall(requests)) {
    seen.push(payload?.body.length ?? 0);
    answered();
  }
  assert.deepEqual(seen, [...responseSizes]);
}

function withClient(run: (client: TestClient) => Promise<void>): ClientCase {
  return async (target, contract, options) => {
    const transport: DialedTransport = dial(target, options);
    try {
      await run(testClient(contract, transport));
    } finally {
      transport.close();
    }
  };
}

/** A client of the suite's contract. */
export function testClient(contract: DescService, transport: DialedTransport): TestClient {
  return createClient(contract, transport) as unknown as TestClient; // Its rpcs are only known at run time.
}

function body(size: number): Payload {
  return { body: new Uint8Array(size) };
}

async function* stream(requests: readonly Init[]): AsyncGenerator<Init> {
  yield* requests;
}

async function sizes(replies: AsyncIterable<SimpleResponse>): Promise<number[]> {
  const found: number[] = [];
  for await (const { payload } of replies) found.push(payload?.body.length ?? 0);
  return found;
}

async function rejects(call: Promise<unknown>, code: Code, message?: string): Promise<void> {
  await assert.rejects(call, (error: ConnectError) => {
    assert.equal(error.code, code, error.message);
    if (message !== undefined) assert.equal(error.rawMessage, message);
    return true;
  });
}
