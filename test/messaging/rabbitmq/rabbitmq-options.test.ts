import assert from "node:assert/strict";
import { test } from "node:test";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { declarationError } from "../../../src/messaging/rabbitmq/declaring.ts";
import { toRabbitMqOptions } from "../../../src/messaging/rabbitmq/rabbitmq-options.ts";

const refused: readonly [given: Record<string, unknown>, says: RegExp][] = [
  [{ url: "http://host" }, /url and urls must be URLs such as amqp:\/\/host:5672$/],
  [{ urls: ["amqp://user:secret@a", "nowhere"] }, /url and urls must be URLs/],
  [{ url: "amqps://a?auth_mechanism=kerberos" }, /auth_mechanism of the URL must be plain or external/],
  [{ url: "amqps://a?auth_mechanism=external" }, /external needs .* tls.cert and tls.key/],
  [{ prefix: "a b" }, /prefix must consist of letters/],
  [{ partitions: 65 }, /partitions must be a whole number from 1 to 64, not 65/],
  [{ partitions: 1.5 }, /partitions must be a whole number/],
  [{ heartbeatMs: 1_500 }, /heartbeatMs must be whole seconds/],
  [{ maxFrameBytes: 1_000 }, /maxFrameBytes must be a whole number from 4096/],
  [{ queueType: "stream" }, /queueType must be "quorum" or "classic", not 'stream'/],
  [{ reconnect: { maxMs: 1 } }, /reconnect.initialMs must be positive, and maxMs not below it/],
  [{ reconnect: { jitter: 2 } }, /reconnect.jitter must be a number from 0 to 1/],
  [{ reconnect: { pause: 2 } }, /there is no option "pause"/],
  [{ partition: 2 }, /there is no option "partition"; did you mean partitions\?/],
];

for (const [given, says] of refused) {
  test(`the options ${JSON.stringify(given)} are refused`, () => {
    assert.throws(
      () => toRabbitMqOptions(given),
      (reason) =>
        reason instanceof SetupError && says.test(reason.message) && !reason.message.includes("secret"),
    );
  });
}

test("several URLs take the place of the one", () => {
  assert.deepEqual(toRabbitMqOptions({ urls: ["amqp://a", "amqps://b"] }).urls, ["amqp://a", "amqps://b"]);
  assert.deepEqual(toRabbitMqOptions({ url: "amqp://c" }).urls, ["amqp://c"]);
});

/** What RabbitMQ 3.10 says, and what a user reads. */
const declarations: readonly [says: string, reads: string][] = [
  [
    "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '5' of type 'signedint' but current is the value '7' of type 'long'",
    "the queue q is there with x-message-ttl 7, and 5 is asked for",
  ],
  [
    "inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received none but current is the value '' of type 'longstr'",
    "the queue q is there with x-dead-letter-exchange , and nothing is asked for",
  ],
  [
    "inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received the value '9' of type 'byte' but current is none",
    "the queue q is there with x-delivery-limit nothing, and 9 is asked for",
  ],
  [
    "inequivalent arg 'type' for exchange 'orders' in vhost '/': received 'topic' but current is 'direct'",
    "the exchange orders is there with type direct, and topic is asked for",
  ],
];

for (const [says, reads] of declarations) {
  test(`34 ${reads}`, () => {
    const reason = Object.assign(
      new Error(
        `Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - ${says}"`,
      ),
      { code: 406 },
    );
    const error = declarationError(reason);
    assert.ok(error instanceof SetupError);
    assert.ok(error.message.startsWith(`RabbitMQ: ${reads}: `), error.message);
  });
}
