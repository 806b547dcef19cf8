import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { OutgoingMessage } from "../../../src/messaging/broker.ts";
import { kafkaCodes } from "../../../src/messaging/kafka/kafka-errors.ts";
import {
  type BatchAnswer,
  PartitionQueue,
  type ProducerIdentity,
  type RecordBatch,
} from "../../../src/messaging/kafka/partition-queue.ts";
import {
  type Outcome,
  type Publication,
  PublicationBatch,
} from "../../../src/messaging/kafka/publication.ts";
import { systemClock } from "../../../src/core/time/clock.ts";

/** What Kafka answers to one batch after the other; "lost" for no answer. */
type Script = (BatchAnswer | "lost")[];

function queueWith(script: Script, isRemade = false) {
  const sent: RecordBatch[] = [];
  let identities = 1n;
  let identity: ProducerIdentity = { id: identities, epoch: 0 };
  let underWay = 0;
  const queue = new PartitionQueue({
    topic: "t",
    partition: 2,
    maxBatchBytes: 250,
    clock: systemClock,
    random: () => 0,
    closed: new AbortController().signal,
    identity: async () => identity,
    drop: (dropped) => {
      if (dropped === identity) identity = { id: ++identities, epoch: 0 };
    },
    async send(batch) {
      sent.push(batch);
      assert.equal(++underWay, 1, "two requests are under way");
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
      const answer = script.shift();
      if (answer === undefined || answer === "lost") throw new Error("Connection closed");
      return answer;
    },
    isRemade: () => isRemade,
    failing: () => {},
  });
  return { queue, sent };
}

function messageOf(id: string): OutgoingMessage {
  return {
    to: { kind: "topic", topic: "t" },
    event: { id, source: "/t", type: "t", subject: undefined, timeMs: undefined, extensions: new Map() },
    key: undefined,
    headers: new Map(),
    contentType: undefined,
    contentEncoding: undefined,
    body: Buffer.from(id),
    mandatory: false,
  };
}

function publish(queue: PartitionQueue, ids: readonly string[]): Promise<readonly Outcome[]> {
  const { promise, resolve } = Promise.withResolvers<readonly Outcome[]>();
  const owner = { ended: () => {}, finished: () => {}, hindrance: () => "" };
  const batch = new PublicationBatch(owner, new AbortController().signal, resolve);
  for (const id of ids) {
    const message = messageOf(id);
    queue.push(batch.add({ key: undefined, value: message.body, message, bytes: 100 }, message));
  }
  return promise;
}

const idsOf = ({ publications }: RecordBatch) => publications.map(({ id }: Publication) => id);
const ok = (offset: bigint): BatchAnswer => ({ code: 0, offset });

suite("36 the messages for a partition of Kafka", () => {
  test("one request is under way; what comes meanwhile makes the next batch", async () => {
    const { queue, sent } = queueWith([ok(0n), ok(2n), ok(4n)]);
    const outcomes = await publish(queue, ["0", "1", "2", "3", "4"]);
    assert.deepEqual(sent.map(idsOf), [["0", "1"], ["2", "3"], ["4"]]);
    assert.deepEqual(
      sent.map(({ sequence }) => sequence),
      [0, 2, 4],
    );
    assert.deepEqual(
      outcomes.map((outcome) => (outcome instanceof ConnectError ? outcome.message : outcome.offset)),
      [0n, 1n, 2n, 3n, 4n],
    );
  });

  test("13 a batch without an answer is sent again as it is, before anything newer", async () => {
    const { queue, sent } = queueWith(["lost", { code: 6, offset: -1n }, ok(7n), ok(8n)]);
    const first = publish(queue, ["a"]);
    while (sent.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const second = publish(queue, ["b"]);
    await Promise.all([first, second]);
    assert.deepEqual(sent.map(idsOf), [["a"], ["a"], ["a"], ["b"]]);
    assert.deepEqual(
      sent.map(({ sequence }) => sequence),
      [0, 0, 0, 1],
    );
  });

  test("two batches answered with one offset are an error for each message of the second, never a confirm", async () => {
    const { queue, sent } = queueWith([ok(5n), ok(5n), ok(6n)]);
    const [first] = await publish(queue, ["a"]);
    assert.ok(!(first instanceof ConnectError));
    for (const outcome of await publish(queue, ["b", "c"])) {
      assert.ok(outcome instanceof ConnectError);
      assert.equal(outcome.code, Code.Unavailable);
      assert.match(outcome.rawMessage, /^sent and not confirmed: .* two batches with the offset 5$/);
    }
    const [third] = await publish(queue, ["d"]);
    assert.ok(!(third instanceof ConnectError));
    assert.notEqual(sent[2]?.identity.id, sent[1]?.identity.id);
    assert.equal(sent[2]?.sequence, 0);
  });

  test("offsets begin again in a topic that was deleted and made again", async () => {
    const { queue } = queueWith([ok(5n), ok(0n)], true);
    await publish(queue, ["a"]);
    const [second] = await publish(queue, ["b"]);
    assert.ok(!(second instanceof ConnectError));
  });

  test("a producer whose numbers Kafka does not know begins again as another one", async () => {
    const { queue, sent } = queueWith([ok(0n), { code: kafkaCodes.outOfOrder, offset: -1n }, ok(1n)]);
    await publish(queue, ["a"]);
    await publish(queue, ["b"]);
    assert.deepEqual(
      sent.map(({ identity, sequence }) => [identity.id, sequence]),
      [
        [1n, 0],
        [1n, 1],
        [2n, 0],
      ],
    );
  });

  test("a batch that is too large is halved; a message that is too large is refused alone", async () => {
    const tooLarge: BatchAnswer = { code: kafkaCodes.messageTooLarge, offset: -1n };
    const { queue, sent } = queueWith([tooLarge, tooLarge, ok(0n)]);
    const [large, small] = await publish(queue, ["large", "small"]);
    assert.ok(large instanceof ConnectError);
    assert.equal(large.code, Code.ResourceExhausted);
    assert.ok(!(small instanceof ConnectError));
    assert.deepEqual(sent.map(idsOf), [["large", "small"], ["large"], ["small"]]);
    assert.equal(sent[2]?.sequence, 0);
  });

  test("12 what is not allowed is refused", async () => {
    const { queue } = queueWith([{ code: kafkaCodes.topicRefused, offset: -1n }]);
    const [outcome] = await publish(queue, ["a"]);
    assert.ok(outcome instanceof ConnectError);
    assert.equal(outcome.code, Code.PermissionDenied);
  });
});
