import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { toNatsBrokerOptions } from "../../../src/messaging/nats/nats-options.ts";

suite("the options of nats()", () => {
  test("URLs name the servers of a cluster", () => {
    const rows: [url: string, servers: string[]][] = [
      ["nats://a", ["nats://a"]],
      ["nats://me:s%40fe@a:1,b.example:4223/", ["nats://me:s%40fe@a:1", "nats://me:s%40fe@b.example:4223"]],
      ["tls://token@[::1]:4222", ["tls://token@[::1]:4222"]],
    ];
    for (const [url, servers] of rows) assert.deepEqual(toNatsBrokerOptions({ url }).servers, servers);
  });

  test("what cannot be used is refused, by the name of the option, without showing a URL", () => {
    const rows: [options: Readonly<Record<string, unknown>>, says: RegExp][] = [
      [{ url: "http://secret@host" }, /url must be one such as nats:/],
      [{ url: "nats://me:secret@" }, /url must be one/],
      [{ prefix: "a b" }, /prefix must consist of/],
      [{ prefix: ".a" }, /prefix must consist of/],
      [{ replicas: 6 }, /replicas must be a whole number from 1 to 5/],
      [{ ackWaitMs: 10 }, /ackWaitMs must be a whole number from 1000/],
      [{ duplicateWindowMs: 0 }, /duplicateWindowMs must be/],
      [{ maxAgeMs: -1 }, /maxAgeMs must be/],
      [{ reconnect: { maxMs: 1 } }, /maxMs not below it/],
      [{ reconnect: { jitter: 2 } }, /reconnect.jitter must be/],
      [{ single: true }, /single/],
    ];
    for (const [options, says] of rows) {
      assert.throws(
        () => toNatsBrokerOptions(options),
        (error) => {
          assert.ok(error instanceof SetupError);
          assert.match(error.message, says);
          assert.doesNotMatch(error.message, /secret/);
          return true;
        },
      );
    }
  });
});
