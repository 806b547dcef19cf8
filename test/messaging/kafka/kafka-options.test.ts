import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { type KafkaOptions, toKafkaOptions } from "../../../src/messaging/kafka/kafka-options.ts";

suite("the options of kafka()", () => {
  test("URLs name some of the brokers, and who this client is", () => {
    const rows: [url: string, addresses: unknown][] = [
      ["kafka://a", [{ host: "a", port: 9092 }]],
      [
        "kafka://a:1,b.example:9093/",
        [
          { host: "a", port: 1 },
          { host: "b.example", port: 9093 },
        ],
      ],
      ["kafka://[::1]:9094", [{ host: "::1", port: 9094 }]],
    ];
    for (const [url, addresses] of rows) assert.deepEqual(toKafkaOptions({ url }).addresses, addresses);
    assert.deepEqual(toKafkaOptions({ url: "kafka://me:s%40fe@a" }).sasl, {
      mechanism: "PLAIN",
      username: "me",
      password: "s@fe",
    });
  });

  test("what cannot be used is refused, by the name of the option, without showing a URL", () => {
    const rows: [options: Partial<Record<keyof KafkaOptions, unknown>>, says: RegExp][] = [
      [{ url: "http://secret@host" }, /url must be one such as kafka:/],
      [{ url: "kafka://me:secret@" }, /url must be one/],
      [{ url: "kafka://a:secret" }, /url must be one/],
      [{ prefix: "a b" }, /prefix must consist of/],
      [{ compression: "lzma" }, /compression must be one of none, gzip/],
      [{ groupProtocol: "consumer" }, /groupProtocol must be one of classic/],
      [{ partitions: 0 }, /partitions must be 1 to/],
      [{ maxAhead: 100_000 }, /maxAhead must be 1 to 16000/],
      [{ rebalanceTimeoutMs: 1_000 }, /rebalanceTimeoutMs must be 20000 to/],
      [{ reconnect: { maxMs: 1 } }, /maxMs not below it/],
      [{ sasl: { mechanism: "GSSAPI" } }, /sasl.mechanism must be one of PLAIN/],
      [{ sasl: { mechanism: "PLAIN", username: "me" } }, /sasl.password are needed for PLAIN/],
      [{ sasl: { mechanism: "OAUTHBEARER", password: "secret" } }, /sasl.token is needed for OAUTHBEARER/],
    ];
    for (const [options, says] of rows) {
      assert.throws(
        () => toKafkaOptions(options as Partial<KafkaOptions>), // As a program without types may.
        (error) =>
          error instanceof SetupError && says.test(error.message) && !error.message.includes("secret"),
        JSON.stringify(options),
      );
    }
  });
});
