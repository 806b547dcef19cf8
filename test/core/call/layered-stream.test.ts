import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type Message } from "@bufbuild/protobuf";
import { BenchService, FollowParcelsResponseSchema } from "../../../gen/tsms/test/v1/bench_pb.ts";
import { forEachOf, LayeredStream, type StreamLayer } from "../../../src/core/call/layered-stream.ts";
import { CallContext } from "../../../src/core/call/context.ts";
import { pushesItems, type PushSink, type PushSource } from "../../../src/core/call/push-source.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";

const parcel = (weight: number): Message => create(FollowParcelsResponseSchema, { weight });
const weightOf = (message: Message): number => (message as Message & { weight: number }).weight; // Of `parcel`.
const contextOf = (): CallContext =>
  new CallContext({
    method: BenchService.method.followParcels,
    protocolName: "test",
    requestHeader: new Headers(),
  });

/** Gives parcels 1 to `count`, then throws `error` if there is one; notes when its reader returns early. */
async function* parcels(count: number, log: string[] = [], error?: Error): AsyncGenerator<Message> {
  let ended = false;
  try {
    for (let weight = 1; weight <= count; weight++) yield parcel(weight);
    ended = true;
    if (error !== undefined) throw error;
  } finally {
    if (!ended) log.push("return");
  }
}

/** A layer that notes how it is called. */
function noting(name: string, log: string[], layer: StreamLayer): StreamLayer {
  return {
    ...layer,
    begin: () => void log.push(`${name} begins`),
    ended: () => void log.push(`${name} ended`),
    failed: (reason) => {
      log.push(`${name} failed: ${(reason as Error).message}`); // Tests throw nothing else.
      return new Error(`${name} of ${(reason as Error).message}`);
    },
    cancelled: () => void log.push(`${name} cancelled`),
  };
}

function nested(log: string[], source: () => AsyncIterable<unknown>): LayeredStream {
  const inner = (): LayeredStream => new LayeredStream(noting("inner", log, { open: source }));
  return new LayeredStream(noting("outer", log, { open: async () => inner() }));
}

test("layers begin from the outside, with the first next(), and end from the inside", async () => {
  const log: string[] = [];
  const stream = nested(log, () => parcels(3));
  assert.deepEqual(log, []);
  const weights = [];
  for await (const message of stream) weights.push(weightOf(message));
  assert.deepEqual(weights, [1, 2, 3]);
  assert.deepEqual(log, ["outer begins", "inner begins", "inner ended", "outer ended"]);
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test("every layer may put an error in the place of another, in the source or in what opens it", async () => {
  for (const source of [
    () => parcels(1, [], new Error("broken")),
    () => {
      throw new Error("broken");
    },
  ]) {
    const log: string[] = [];
    const stream = nested(log, source);
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, new Error("outer of inner of broken"));
    assert.deepEqual(log.slice(2), ["inner failed: broken", "outer failed: inner of broken"]);
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
  }
});

test("a layer that refuses to begin hears nothing, those around it hear the reason", async () => {
  const log: string[] = [];
  const refusing: StreamLayer = {
    begin() {
      throw new Error("closed");
    },
    open: () => parcels(1),
    failed: () => assert.fail("it has not begun"),
  };
  const stream = new LayeredStream(noting("outer", log, { open: () => new LayeredStream(refusing) }));
  await assert.rejects(stream.next(), new Error("outer of closed"));
  assert.deepEqual(log, ["outer begins", "outer failed: closed"]);
});

test("items pass the layers from the inside; one that is refused ends the source", async () => {
  const log: string[] = [];
  const inner = new LayeredStream({
    open: () => parcels(5, log),
    item(item) {
      const weight = weightOf(item as Message); // Of `parcels`.
      if (weight === 3) throw new Error("three is too heavy");
      return parcel(weight * 10);
    },
  });
  const stream = new LayeredStream({
    open: () => inner,
    item: (item) => parcel(weightOf(item as Message) + 1),
  }); // As above.
  const weights: number[] = [];
  await assert.rejects(async () => {
    for await (const message of stream) weights.push(weightOf(message));
  }, /three is too heavy/);
  assert.deepEqual(weights, [11, 21]);
  assert.deepEqual(log, ["return"]);
});

test("a reader that leaves ends source and layers once; one that never began, nothing", async () => {
  const log: string[] = [];
  const stream = nested(log, () => parcels(5, log));
  for await (const _ of stream) break;
  await stream.return();
  assert.deepEqual(log.slice(2).toSorted(), ["inner cancelled", "outer cancelled", "return"]);

  const untouched: string[] = [];
  await nested(untouched, () => parcels(1)).return();
  assert.deepEqual(untouched, []);
});

test("an aborted call ends a wait for a source that hangs, while it opens and while it runs", async () => {
  const hangs = (): Promise<never> => new Promise(() => {});
  const hanging: AsyncIterable<Message> = { [Symbol.asyncIterator]: () => ({ next: hangs }) };
  for (const open of [() => hanging, hangs]) {
    const context = contextOf();
    const log: string[] = [];
    const stream = new LayeredStream(noting("layer", log, { context, open }));
    const next = stream.next();
    context.abort(new ConnectError("enough", Code.Canceled));
    await assert.rejects(next, /layer of \[canceled\] enough/);
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
    context.end();
  }
});

test("a call that is aborted between two items ends with the next one", async () => {
  const context = contextOf();
  const log: string[] = [];
  const stream = new LayeredStream({ context, open: () => parcels(5, log) });
  assert.equal((await stream.next()).done, false);
  const reason = new ConnectError("enough", Code.Canceled);
  context.abort(reason);
  await assert.rejects(stream.next(), reason);
  assert.deepEqual(log, ["return"]);
});

test("a call that was aborted before does not open its source", async () => {
  const context = contextOf();
  context.abort(new ConnectError("enough", Code.Canceled));
  const stream = new LayeredStream({ context, open: () => assert.fail("opened") });
  await assert.rejects(stream.next(), /enough/);
});

test("next() and return() that do not wait for one another are answered in order", async () => {
  const stream = new LayeredStream({ open: () => parcels(3) });
  const results = await Promise.all([stream.next(), stream.next(), stream.return(), stream.next()]);
  assert.deepEqual(
    results.map(({ value }) => (value === undefined ? undefined : weightOf(value))),
    [1, 2, undefined, undefined],
  );
});

test("a source that never waits lets timers and sockets run", async () => {
  const stream = new LayeredStream({ open: () => parcels(Number.MAX_SAFE_INTEGER) });
  let turns = 0;
  setImmediate(() => turns++);
  let items = 0;
  for await (const _ of stream) if (++items === 100_000 || turns > 0) break;
  assert.ok(turns > 0, `${items} items without a turn`);
});

/** Items in two forms, which `forEachOf` passes on alike. */
const forms = {
  "a layered stream": (stream: LayeredStream): AsyncIterable<Message> => stream,
  async *"what reads one"(stream: LayeredStream): AsyncGenerator<Message, void, undefined> {
    yield* stream;
  },
};

for (const [name, form] of Object.entries(forms)) {
  test(`forEachOf ${name}: passes all items in order and waits where it is asked to`, async () => {
    const log: string[] = [];
    let waits = 0;
    const weights: number[] = [];
    await forEachOf(form(nested(log, () => parcels(1000, log))), (message) => {
      assert.equal(waits, 0);
      weights.push(weightOf(message));
      if (weights.length % 3 !== 0) return undefined;
      waits++;
      return new Promise((resolve) =>
        setImmediate(() => {
          waits--;
          resolve();
        }),
      );
    });
    assert.deepEqual(
      weights,
      Array.from({ length: 1000 }, (_, index) => index + 1),
    );
    assert.deepEqual(log, ["outer begins", "inner begins", "inner ended", "outer ended"]);
  });

  test(`forEachOf ${name}: rejects with the error of the source, as the layers replace it`, async () => {
    const log: string[] = [];
    const failing = form(nested(log, () => parcels(2, log, new Error("broken"))));
    await assert.rejects(
      forEachOf(failing, () => undefined),
      /outer of inner of broken/,
    );
    assert.deepEqual(log.slice(2), ["inner failed: broken", "outer failed: inner of broken"]);
  });

  test(`forEachOf ${name}: a sink that throws or rejects ends source and layers once`, async () => {
    const sinks = [
      () => {
        throw new Error("full");
      },
      () => Promise.reject(new Error("full")),
    ];
    for (const sink of sinks) {
      const log: string[] = [];
      let items = 0;
      const taken = forEachOf(form(nested(log, () => parcels(5, log))), () =>
        ++items === 2 ? sink() : undefined,
      );
      await assert.rejects(taken, /full/);
      assert.equal(items, 2);
      assert.deepEqual(log.slice(2).toSorted(), ["inner cancelled", "outer cancelled", "return"]);
    }
  });

  test(`forEachOf ${name}: an abort ends a wait for the source at once, one for the sink with the sink`, async () => {
    const hanging: AsyncIterable<Message> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
    };
    const waiting = contextOf();
    const taken = forEachOf(
      form(new LayeredStream({ context: waiting, open: () => hanging })),
      () => undefined,
    );
    await new Promise(setImmediate);
    waiting.abort(new ConnectError("enough", Code.Canceled));
    await assert.rejects(taken, /enough/);

    const context = contextOf();
    const log: string[] = [];
    const stream = new LayeredStream(noting("layer", log, { context, open: () => parcels(5, log) }));
    const raced = forEachOf(form(stream), () => {
      queueMicrotask(() => context.abort(new ConnectError("enough", Code.Canceled)));
      return context.race(new Promise<void>(() => {}));
    });
    await assert.rejects(raced, /enough/);
    assert.deepEqual(log.slice(1).toSorted(), ["layer cancelled", "return"]);
    context.end();
  });

  test(`forEachOf ${name}: a source that never waits lets timers and sockets run`, async () => {
    let turns = 0;
    setImmediate(() => turns++);
    let items = 0;
    const source = form(new LayeredStream({ open: () => parcels(100_000) }));
    await assert.rejects(
      forEachOf(source, () => {
        if (++items === 99_999 || turns > 0) throw new Error("seen");
        return undefined;
      }),
      /seen/,
    );
    assert.ok(turns > 0, `${items} items without a turn`);
  });
}

test("forEachOf a stream that has ended passes nothing, and one in use begins behind its reader", async () => {
  const stream = new LayeredStream({ open: () => parcels(3) });
  const first = stream.next();
  const weights: number[] = [];
  await forEachOf(stream, (message) => void weights.push(weightOf(message)));
  assert.equal((await first).done, false);
  assert.deepEqual(weights, [2, 3]);
  await forEachOf(stream, () => assert.fail("it has ended"));
});

/** A source that hands over what it is given. */
class Pushing implements PushSource {
  readonly [pushesItems] = true;
  readonly log: string[] = [];
  sink: PushSink | undefined;

  push(sink: PushSink): void {
    this.sink = sink;
  }

  resume(): void {
    this.log.push("resume");
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    throw new Error("nobody asks for an item");
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    this.log.push("return");
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** A consumer that waits behind each second item. */
function readPushed(source: Pushing, layer: Partial<StreamLayer> = {}) {
  const got: number[] = [];
  let free = (): void => {};
  const over = forEachOf(
    new LayeredStream({ open: () => new LayeredStream({ open: () => source, ...layer }) }),
    (message) => {
      got.push(weightOf(message));
      return got.length % 2 === 1 ? undefined : new Promise<void>((resolve) => (free = resolve));
    },
  );
  return { got, over, free: () => free() };
}

test("a source that has items hands them over, through all layers, as long as they are taken", async () => {
  const source = new Pushing();
  const { got, over, free } = readPushed(source, {
    item: (message) => parcel(10 * weightOf(message as Message)),
  });
  while (source.sink === undefined) await new Promise(setImmediate);
  assert.equal(source.sink.take(parcel(1)), true);
  assert.deepEqual(got, [10], "at once");
  assert.equal(source.sink.take(parcel(2)), false, "the consumer waits");
  assert.deepEqual(source.log, []);
  free();
  await new Promise(setImmediate);
  assert.deepEqual(source.log, ["resume"]);
  source.sink.take(parcel(3));
  source.sink.ended();
  await over;
  assert.deepEqual(got, [10, 20, 30]);
  assert.equal(source.sink.take(parcel(4)), false, "it is over");
});

test("a stream of a source that hands items over fails, and is cut, as any other", async () => {
  const failing = new Pushing();
  const failed = readPushed(failing);
  while (failing.sink === undefined) await new Promise(setImmediate);
  failing.sink.failed(new Error("no more"));
  await assert.rejects(failed.over, /no more/);
  const broken = new Pushing();
  const cut = readPushed(broken, {
    item() {
      throw new Error("no item");
    },
  });
  while (broken.sink === undefined) await new Promise(setImmediate);
  assert.equal(broken.sink.take(parcel(1)), false);
  await assert.rejects(cut.over, /no item/);
  assert.deepEqual(broken.log, ["return"]);
  const context = contextOf();
  const aborted = new Pushing();
  const ends = readPushed(aborted, { context });
  while (aborted.sink === undefined) await new Promise(setImmediate);
  context.abort(new ConnectError("stop", Code.Canceled));
  await assert.rejects(ends.over, /stop/);
  assert.deepEqual(aborted.log, ["return"]);
});
