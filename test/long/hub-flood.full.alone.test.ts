/** Clients that ask for far more than anybody needs, of a server in a process of its own. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { ServerFrames, textFrame, upgradeRequest } from "../../bench/load/socket-frames.ts";
import { Code } from "../../src/core/errors/errors.ts";
import { AskedProcess } from "../support/asked-process.ts";

const [sockets, names, atOnce] = [4, 1_000_000, 250];
const mostBytes = 16 * 1024 ** 2;

/** One client joins rooms of its own. @returns how many joins were refused */
async function join(port: number, client: string, count: number): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  socket.write(upgradeRequest("/ws"));
  await once(socket, "data");
  let refused = 0;
  let whole = Promise.withResolvers<void>();
  const frames = new ServerFrames((payload) => {
    const { id, status } = JSON.parse(payload.toString()) as { id: number; status?: { code: number } };
    if (status?.code === Code.ResourceExhausted) refused++;
    if (id === -1) whole.resolve();
  });
  socket.on("data", (chunk: Buffer) => frames.read(chunk));
  socket.on("close", () => whole.reject(new Error("the socket was closed")));
  const method = "tsms.test.v1.LiveService/FollowRooms";
  for (let from = 0; from < count; from += atOnce) {
    whole = Promise.withResolvers();
    const joins = Array.from({ length: atOnce }, (_, place) => {
      const id = from + place;
      return textFrame(JSON.stringify({ id, method, message: { rooms: [`${client}-${id}`] } }));
    });
    // A call that is not known is answered behind all before it.
    socket.write(Buffer.concat([...joins, textFrame('{"id":-1,"method":"none","message":{}}')]));
    await whole.promise;
  }
  socket.removeAllListeners("close").destroy();
  return refused;
}

test(
  "R16: few clients that join 1,000,000 names of rooms get as many as the limits let them, in 16 MiB",
  { timeout: 110_000 },
  async (t) => {
    await using node = await AskedProcess.start("long/fixtures/crowd-node.ts", ["limited"], ["--expose-gc"]);
    const port = await node.ask<number>("port");
    const flood = async (name: string, count: number): Promise<number> => {
      const all = Array.from({ length: sockets }, (_, place) =>
        join(port, `${name}-${place}`, count / sockets),
      );
      return (await Promise.all(all)).reduce((sum, refused) => sum + refused, 0);
    };
    await flood("first", 40_000); // Code is compiled, and pools have their size.
    const before = await node.ask<number>("memory");
    const beganMs = performance.now();
    const refused = await flood("then", names);
    const seconds = (performance.now() - beganMs) / 1_000;
    const most = sockets * Math.min(100 + 1, 200 + 50 * (seconds + 1));
    assert.ok(names - refused <= most, `${names - refused} were not refused`);
    const more = (await node.ask<number>("memory")) - before;
    t.diagnostic(`${Math.round(seconds)} s, ${(more / 1024 ** 2).toFixed(1)} MiB`);
    assert.ok(more <= mostBytes, `${more} bytes more`);
  },
);

test("R16: headers and tests of filters by 10,000s are refused, in 16 MiB", async (t) => {
  await using node = await AskedProcess.start("long/fixtures/crowd-node.ts", [], ["--expose-gc"]);
  await node.ask("strange", 20);
  const before = await node.ask<number>("memory");
  assert.deepEqual(await node.ask("strange", 1_000), { headers: 1_000, filters: 1_000 });
  const more = (await node.ask<number>("memory")) - before;
  t.diagnostic(`${(more / 1024 ** 2).toFixed(1)} MiB`);
  assert.ok(more <= mostBytes, `${more} bytes more`);
});
