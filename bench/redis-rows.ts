import { Missing } from "../conformance/tools.ts";
import { without } from "../test/support/kept-server.ts";
import { RedisServer } from "../test/support/redis-server.ts";
import { runDuel, samplesAre } from "./duel.ts";
import { fetchSocketIoNodes } from "./peers.ts";
import type { Measured, Row } from "./rig.ts";
import { roomDuel, socketForm } from "./room-duels.ts";

/** Lets both sides use a Redis of their own run. @throws Missing without the program */
async function withRedis(measure: (url: string) => Promise<Measured>): Promise<Measured> {
  const missing = without("redis-server", ["--version"], "redis-server");
  if (missing !== false) throw new Missing(missing);
  const server = await RedisServer.start();
  try {
    return await measure(server.url);
  } finally {
    await server.stop();
  }
}

/** What a hub adds to what the client of Redis does. */
export const redisRows: readonly Row[] = [
  {
    id: "r10",
    work: "publish to a stream of Redis, 64 under way",
    subject: "`publish` of a topic with history",
    reference: "`xAdd` and `publish` of `@redis/client` in a `multi`",
    better: "higher",
    must: 0.7,
    aim: 1,
    measure: (rig) =>
      withRedis((url) => {
        const publisher = (side: string) => ({ file: "redis-publisher.ts", args: [side, url] });
        const sides = { subject: publisher("hub"), reference: publisher("client") };
        return runDuel({ ...sides, check: samplesAre(true) }, rig);
      }),
  },
];

/** The same beside nodes of another project. */
export const redisPeerRows: readonly Row[] = [
  {
    id: "r9",
    work: "publish on one node, to 100 WebSockets of another, by Redis, both nodes together",
    subject: "hub",
    reference: "socket.io with `@socket.io/redis-streams-adapter`",
    better: "higher",
    must: 1.5,
    aim: 3,
    measure: (rig) =>
      withRedis(async (url) => {
        const subject = { file: "hub-nodes.ts", args: [url] };
        const reference = { file: "socket-io-nodes.ts", args: [await fetchSocketIoNodes(), url] };
        return roomDuel(subject, reference, { form: socketForm, burst: 1, members: 100 }, rig);
      }),
  },
];
