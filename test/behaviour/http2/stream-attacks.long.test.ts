import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { flag, frameType, hpack, http2Frame, uint32 } from "../../support/http2-frames.ts";
import { echoFrame } from "../../support/running-grpc.ts";
import { attack, attackedPorts, begin, grpcPort, whole } from "./attacked-ports.ts";
import { openSession } from "./http2-fixture.ts";

const mebibyte = 1024 * 1024;
const { headers, rstStream, ping, settings } = frameType;

for (const port of attackedPorts) {
  const block = hpack(port.fields);

  describe(port.name, () => {
    test("P06: streams over the limit are refused", async (t) => {
      const server = await port.start(t);
      const attacker = await attack(t, server);
      const before = process.memoryUsage().rss;
      const streams: Buffer[] = [];
      for (let id = 1; id < 120_000; id += 2) streams.push(begin(id, block));
      attacker.send(...streams);
      await attacker.until("a refusal", (seen) => seen.of(rstStream).length > 0 || seen.closed);
      const codes = attacker
        .of(rstStream)
        .map(({ streamId, payload }) => ({ over: streamId > 400, refused: payload.readUInt32BE(0) === 7 }));
      // Streams within the limit fall with the connection at most.
      assert.ok(codes.every(({ over, refused }) => over === refused));
      assert.ok(attacker.closed || codes.some(({ refused }) => refused));
      assert.ok(process.memoryUsage().rss - before < 96 * mebibyte);
      attacker.destroy();
      await server.assertSound();
    });

    test("P06: twice the limit of 100 streams, or what is said otherwise, is announced", async (t) => {
      for (const maxConcurrentStreams of [undefined, 3]) {
        const server = await port.start(
          t,
          maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams },
        );
        const [remote] = (await once(openSession(t, server.url), "remoteSettings")) as [
          { maxConcurrentStreams: number },
        ];
        assert.equal(remote.maxConcurrentStreams, 2 * (maxConcurrentStreams ?? 100)); // Node counts streams that are gone.
      }
    });

    test("P06: streams over the limit wait for their turn", async (t) => {
      const server = await port.start(t, { maxConcurrentStreams: 2 });
      const client = await attack(t, server);
      const answered = (id: number) => client.of(headers).some(({ streamId }) => streamId === id);
      const call = (id: number): Buffer[] => whole(id, port.fields, port.body("turn"));
      for (const id of [1, 3]) client.send(begin(id, block));
      client.send(...call(5), ...call(7), http2Frame(ping, 0, 0, Buffer.alloc(8)));
      await client.until("the answer to a ping", (seen) => seen.of(ping).length > 0);
      assert.deepEqual([client.of(headers), client.of(rstStream)], [[], []]);
      client.send(http2Frame(rstStream, 0, 5, uint32(1))); // A call that waits may be cancelled, and takes no turn.
      client.send(http2Frame(rstStream, 0, 3, uint32(8)));
      await client.until("the answer to what waited", () => answered(7));
      client.send(...call(9));
      await client.until("the next answer", () => answered(9));
      assert.equal(answered(5), false);
      client.send(http2Frame(rstStream, 0, 1, uint32(8)));
      await server.assertAlive();
    });

    test("G28: calls that a client cancels cost it none of its others", async (t) => {
      const server = await port.start(t);
      const client = await attack(t, server);
      await client.until("the settings", (seen) => seen.of(settings).length > 0);
      client.send(http2Frame(settings, flag.ack, 0)); // From now on Node counts by what it has announced.
      client.send(...Array.from({ length: 100 }, (_, index) => begin(1 + 2 * index, block)));
      for (let round = 0; round < 5; round++) {
        const burst: Buffer[] = [];
        for (let index = 20 * round; index < 20 * (round + 1); index++) {
          burst.push(http2Frame(rstStream, 0, 1 + 2 * index, uint32(8)));
        }
        for (let index = 20 * round; index < 20 * (round + 1); index++)
          burst.push(begin(201 + 2 * index, block));
        client.send(...burst, http2Frame(ping, 0, 0, Buffer.alloc(8)));
        await client.until("the answer to a ping", (seen) => seen.of(ping).length > round || seen.closed);
      }
      assert.deepEqual(client.of(rstStream), []);
      assert.equal(client.closed, false);
    });
  });
}

test("P16: streams that are reset while they are answered harm no others", async (t) => {
  const server = await grpcPort.start(t);
  const attacker = await attack(t, server);
  const body = echoFrame({ behaviour: { failure: { code: Code.Internal } } });
  for (let id = 1; id < 100; id += 2) {
    const fields = grpcPort.fields.map(
      ([name, value]) => [name, name === ":path" && id % 4 === 3 ? "/no/Method" : value] as const,
    );
    attacker.send(...whole(id, fields, body), http2Frame(rstStream, 0, id, uint32(8)));
  }
  await server.assertAlive();
});
