import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import {
  EchoService,
  type Behaviour,
  type ChatRequest,
  type ChatResponseSchema,
  type CollectRequest,
  type CollectResponseSchema,
  type EchoRequest,
  type EchoResponseSchema,
  type RepeatRequest,
  type RepeatResponseSchema,
} from "../../gen/tsms/test/v1/echo_pb.ts";
import type { HandlerContext } from "../../src/core/call/context.ts";
import { ConnectError, toCode } from "../../src/core/errors/errors.ts";
import type { Service } from "../../src/core/call/service.ts";

/** Echoes, misbehaves when told to, and counts what happens to it. */
export class Echo implements Service<typeof EchoService> {
  readonly descriptor = EchoService;
  /** Calls whose handler has begun. */
  calls = 0;
  /** Calls whose signal fired. */
  aborted = 0;
  /** Messages that streaming handlers have read. */
  received = 0;
  /** Messages that streaming handlers have yielded. */
  produced = 0;
  readonly #waiters = new Set<() => void>();

  async echo(
    request: EchoRequest,
    context: HandlerContext,
  ): Promise<MessageInitShape<typeof EchoResponseSchema>> {
    this.#begin(context);
    await behave(request.behaviour, context);
    fail(request.behaviour);
    const timeoutMs = context.timeoutMs();
    return {
      text: request.text,
      payload: request.payload,
      number: request.number,
      headers: Object.fromEntries(context.requestHeader),
      protocol: context.protocolName,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
  }

  async *repeat(
    request: RepeatRequest,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof RepeatResponseSchema>> {
    this.#begin(context);
    await behave(request.behaviour, context);
    const failAfter = request.behaviour?.failure?.after ?? Infinity;
    for (let index = 0; index < request.count; index++) {
      if (index === failAfter) break;
      if (request.intervalMs > 0) await sleep(request.intervalMs, undefined, { signal: context.signal });
      this.produced++;
      this.#notify();
      yield { text: request.text, payload: request.payload, index };
    }
    fail(request.behaviour);
  }

  async collect(
    requests: AsyncIterable<CollectRequest>,
    context: HandlerContext,
  ): Promise<MessageInitShape<typeof CollectResponseSchema>> {
    this.#begin(context);
    const texts: string[] = [];
    let payloadBytes = 0n;
    let behaviour: Behaviour | undefined;
    for await (const request of requests) {
      this.#receive();
      if (texts.length === 0) await behave((behaviour = request.behaviour), context);
      texts.push(request.text);
      payloadBytes += BigInt(request.payload.length);
      if (behaviour?.failure?.after === texts.length) break;
    }
    fail(behaviour);
    return { texts, count: texts.length, payloadBytes };
  }

  async *chat(
    requests: AsyncIterable<ChatRequest>,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof ChatResponseSchema>> {
    this.#begin(context);
    let index = 0;
    let behaviour: Behaviour | undefined;
    for await (const request of requests) {
      this.#receive();
      if (index === 0) await behave((behaviour = request.behaviour), context);
      if (behaviour?.failure !== undefined && behaviour.failure.after === index) break;
      this.produced++;
      this.#notify();
      yield { text: request.text, payload: request.payload, index: index++ };
    }
    fail(behaviour);
  }

  /** Resolves as soon as `condition` holds; it is looked at whenever a counter has changed. */
  async until(condition: (echo: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  #begin(context: HandlerContext): void {
    this.calls++;
    const aborted = (): void => {
      this.aborted++;
      this.#notify();
    };
    if (context.signal.aborted) aborted();
    else context.signal.addEventListener("abort", aborted, { once: true });
    this.#notify();
  }

  #receive(): void {
    this.received++;
    this.#notify();
  }

  #notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }
}

async function behave(behaviour: Behaviour | undefined, context: HandlerContext): Promise<void> {
  if (behaviour === undefined) return;
  for (const [name, value] of Object.entries(behaviour.headers)) context.responseHeader.append(name, value);
  for (const [name, value] of Object.entries(behaviour.trailers)) context.responseTrailer.append(name, value);
  for (const name of behaviour.reflectHeaders) {
    const value = context.requestHeader.get(name);
    if (value !== null) context.responseHeader.set(name, value);
  }
  if (behaviour.sleepMs > 0) await sleep(behaviour.sleepMs, undefined, { signal: context.signal });
}

function fail(behaviour: Behaviour | undefined): void {
  const failure = behaviour?.failure;
  if (failure === undefined) return;
  if (failure.code === 0) throw new Error(failure.message);
  throw new ConnectError(
    failure.message,
    toCode(failure.code),
    failure.metadata,
    failure.reasons.map((reason) => ({ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason }) })),
  );
}
