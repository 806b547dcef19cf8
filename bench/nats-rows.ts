import { Missing } from "../conformance/tools.ts";
import { NatsServer, withoutNats } from "../test/support/nats-server.ts";
import { runDuel, samplesAre } from "./duel.ts";
import type { Row } from "./rig.ts";

/** What a hub adds to what NATS' own client does. */
export const natsRows: readonly Row[] = [
  {
    id: "r11",
    work: "publish to a stream of NATS, 64 under way",
    subject: "`publish` of a topic with history",
    reference: "`publish` of `@nats-io/jetstream`",
    better: "higher",
    must: 0.8,
    aim: 0.95,
    measure: async (rig) => {
      if (withoutNats !== false) throw new Missing(withoutNats);
      const server = await NatsServer.start();
      try {
        const publisher = (side: string) => ({ file: "nats-publisher.ts", args: [side, server.url] });
        const sides = { subject: publisher("hub"), reference: publisher("jetstream") };
        return await runDuel({ ...sides, check: samplesAre(true) }, rig);
      } finally {
        await server.stop();
      }
    },
  },
];
