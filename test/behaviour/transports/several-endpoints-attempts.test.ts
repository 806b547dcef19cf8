import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { failure } from "../../support/failure.ts";
import { frameType, http2Frame, uint32, type RawHttp2 } from "../../support/http2-frames.ts";
import { goawayFrame } from "../../support/own-engine.ts";
import { echoReply, onRequests, RawHttp2Server } from "../../support/raw-http2-server.ts";
import { dialSeveral, until } from "../../support/several-servers.ts";

const refusedStream = 7;

/** A server that answers each request by frames, and counts them. */
async function scripted(
  t: TestContext,
  answer: (streamId: number, raw: RawHttp2) => Buffer | undefined,
): Promise<{ readonly target: string; requests: number }> {
  const seen = { target: "", requests: 0 };
  const server = await new RawHttp2Server((raw) =>
    onRequests(raw, (streamId) => {
      seen.requests++;
      const frames = answer(streamId, raw);
      if (frames !== undefined) raw.send(frames);
    }),
  ).listen();
  t.after(() => server[Symbol.asyncDispose]());
  seen.target = server.target;
  return seen;
}

const refuse = (streamId: number): Buffer =>
  http2Frame(frameType.rstStream, 0, streamId, uint32(refusedStream));
const good = (streamId: number): Buffer => echoReply(streamId, "good");

describe("attempts of a call", () => {
  test("one that a server refuses is made once more, on another server", async (t) => {
    const bad = await scripted(t, refuse);
    const other = await scripted(t, good);
    const { client, transport } = dialSeveral(t, [bad.target, other.target], { balance: "round_robin" });
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 2);
    for (let call = 0; call < 10; call++) assert.equal((await client.echo({})).text, "good");
    assert.ok(bad.requests >= 5);
    assert.equal(other.requests, 10);
    const [first, second] = transport.stats().endpoints;
    assert.equal(first?.load?.failures, bad.requests);
    assert.equal(second?.load?.failures, 0);
  });

  test("one that all servers refuse has two attempts without a policy of retries", async (t) => {
    const servers = await Promise.all([1, 2, 3].map(() => scripted(t, refuse)));
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ target }) => target),
      { policies: [{ selector: "*", retry: { maxAttempts: 1 } }] },
    );
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 3);
    await failure(client.echo({}), Code.Unavailable);
    assert.deepEqual(
      servers.map(({ requests }) => requests).toSorted((one, other) => one - other),
      [0, 1, 1],
    );
  });

  test("one that all servers refuse has two retries beside the second attempt", async (t) => {
    const bad = await scripted(t, refuse);
    const { client, transport } = dialSeveral(t, [bad.target]);
    await transport.ready();
    await failure(client.echo({}), Code.Unavailable);
    assert.equal(bad.requests, 4);
  });

  test("one beyond the last stream of GOAWAY is made once more", async (t) => {
    const leaving = await scripted(t, () => goawayFrame(0, 0));
    const other = await scripted(t, good);
    const { client, transport } = dialSeveral(t, [leaving.target, other.target], { balance: "round_robin" });
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 2);
    const replies = await Promise.all([1, 2, 3, 4].map(() => client.echo({})));
    for (const { text } of replies) assert.equal(text, "good");
  });

  test("D14: one that a server has answered, or may have processed, is not made again", async (t) => {
    const dying = await scripted(t, (streamId, raw) => {
      if (dying.requests > 1) return good(streamId);
      raw.destroy();
      return undefined;
    });
    const other = await scripted(t, good);
    const call = async () => {
      const { client, transport } = dialSeveral(t, [dying.target, other.target], { balance: "pick_first" });
      await transport.ready();
      const askedOther = other.requests;
      const outcome = await client.echo({}, { timeoutMs: 5_000 }).catch((error: unknown) => error);
      return { client, outcome, asked: dying.requests + other.requests - askedOther };
    };
    let { client, outcome, asked } = await call();
    // On a busy machine the second one may be connected first.
    while (dying.requests === 0) ({ client, outcome, asked } = await call());
    assert.equal(ConnectError.from(outcome).code, Code.Unavailable, String(outcome));
    assert.equal(asked, 1);
    assert.equal((await client.echo({})).text, "good");
  });
});
