import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { EchoRequestSchema, EchoResponseSchema } from "../../gen/tsms/test/v1/echo_pb.ts";
import { saga, Sagas, type SagasInit } from "../../src/entries/saga.ts";

const one = saga(
  { name: "one", version: 1, input: EchoRequestSchema, output: EchoResponseSchema },
  async () => ({}),
);

suite("options of sagas that cannot be used are named", () => {
  const databaseUrl = "postgres://localhost/shop";
  const cases: readonly [SagasInit, RegExp][] = [
    [{ databaseUrl: "", sagas: [] }, /databaseUrl must be postgres:\/\/USER:PASSWORD@HOST:PORT\/DATABASE/],
    [{ databaseUrl: "mysql://localhost", sagas: [] }, /databaseUrl must be postgres:/],
    [{ databaseUrl, sagas: [one, one] }, /saga one version 1 is there twice/],
    [{ databaseUrl, sagas: [one], leaseMs: 10 }, /leaseMs 10 must be at least 1000/],
    [{ databaseUrl, sagas: [one], concurrency: 0 }, /concurrency 0 must be a whole number from 1/],
    [{ databaseUrl, sagas: [one], retentionMs: 5 }, /retentionMs 5 must be at least 1000, or 0 to keep/],
    [{ databaseUrl, sagas: [one], schema: "a; drop" }, /schema "a; drop" must be a lower-case name/],
  ];
  for (const [options, message] of cases) {
    test(String(message), () => {
      assert.throws(() => new Sagas(options), message);
    });
  }
});
