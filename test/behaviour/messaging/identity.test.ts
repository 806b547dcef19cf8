import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { StockService } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { apiKeys } from "../../../src/core/security/auth-schemes.ts";
import { createSecurity, type Security } from "../../../src/core/security/create-security.ts";
import { principal, type Principal } from "../../../src/core/security/principal.ts";
import type { ConsumedMessage } from "../../../src/messaging/message-context.ts";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { failure } from "../../support/failure.ts";
import { serveStock, stockTopic } from "../../support/message-calls.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";

const key = createApiKey("clerk");

function named(id: string, ...scopes: string[]): Principal {
  return {
    id,
    provider: "queue",
    kind: "custom",
    issuer: undefined,
    scopes: new Set(scopes),
    roles: new Set(),
    claims: {},
    expiresAtMs: undefined,
  };
}

/** Calls of Count need the scope `stock`, all others a key. */
async function guarded(run: (security: Security) => Promise<void>): Promise<void> {
  await using files = await TemporaryFiles.create();
  const keysFile = await files.write("keys.json", [{ id: "clerk", hash: key.hash, scopes: ["stock"] }]);
  const rules = { [`${stockTopic}/Count`]: { scopes: ["stock"] } };
  await using security = await createSecurity({ auth: { keys: apiKeys({ keysFile }) }, access: { rules } });
  await run(security);
}

/** Who makes a call, by the attribute that its caller may not set: its key is one of the message. */
function clerk({ headers }: ConsumedMessage): Principal | undefined {
  const tenant = headers.get("x-tenant");
  return tenant === undefined ? undefined : named(tenant, ...(tenant === "shop" ? ["stock"] : []));
}

suite("who calls by a queue:", () => {
  for (const [where, before, behind] of [
    ["the server of messages", true, false],
    ["the server behind it", false, true],
    ["both servers", true, true],
  ] as const) {
    test(`25 gates of ${where} admit the principal of \`identity\`, and no message without one`, () =>
      guarded(async ({ gates }) => {
        const broker = memoryBroker();
        const seen: (string | undefined)[] = [];
        await using served = await serveStock(
          broker,
          {
            count(_, context) {
              seen.push(principal(context)?.id);
              return { count: 3 };
            },
          },
          { identity: clerk, gates: before ? gates : [] },
          behind ? gates : [],
        );
        const forwardHeaders = ["x-tenant", "x-api-key", "authorization"];
        const client = createClient(StockService, dial(broker, { forwardHeaders }));
        const count = (headers: Record<string, string>) => client.count({}, { headers });
        assert.equal((await count({ "x-tenant": "shop" })).count, 3);
        await failure(count({ "x-tenant": "other" }), Code.PermissionDenied);
        await failure(count({}), Code.Unauthenticated);
        // What a message says by itself is no credential.
        await failure(count({ "x-api-key": key.key }), Code.Unauthenticated);
        assert.deepEqual(seen, ["shop"]);
        assert.equal(await served.messages.deadLetters(stockTopic, "stock").count(), 0);
      }));
  }

  test("25 the principal of a message is none of the calls that its handler makes with its values", () =>
    guarded(async ({ gates }) => {
      const broker = memoryBroker();
      const inner: Promise<unknown>[] = [];
      await using served = await serveStock(
        broker,
        {
          count: () => ({ count: 1 }),
          async sell(_, { values }) {
            const local = createClient(StockService, dial(served.grpc));
            inner.push(failure(local.count({}, { contextValues: values }), Code.Unauthenticated));
            await inner[0];
            return { left: 1 };
          },
        },
        { identity: named("shop", "stock") },
        gates,
      );
      const client = createClient(StockService, dial(broker));
      assert.equal((await client.sell({})).left, 1);
      assert.equal(inner.length, 1);
    }));

  test("25 a command whose caller is not known is a dead letter, with its reason", () =>
    guarded(async ({ gates }) => {
      const broker = memoryBroker();
      await using served = await serveStock(broker, { reserve: () => ({}) }, { gates });
      const client = createClient(StockService, dial(broker));
      await client.reserve({ sku: "A1" });
      const letters = served.messages.deadLetters(stockTopic, "stock");
      for (let turn = 0; turn < 100 && (await letters.count()) === 0; turn++) await new Promise(setImmediate);
      assert.equal(await letters.count(), 1);
      assert.deepEqual(served.messages.subscriptions[0]?.dead, { refused: 1 });
    }));
});
