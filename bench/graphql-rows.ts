import type { Contestant } from "./contestant.ts";
import { runDuel } from "./duel.ts";
import { gatewayDuel } from "./gateway-duel.ts";
import {
  hundred,
  hundredCopies,
  oneBook,
  oneBookOverNetwork,
  subscribed,
  subscriptionForms,
} from "./graphql-works.ts";
import type { HttpWork } from "./load/http-load.ts";
import { StreamLoad } from "./load/stream-load.ts";
import { overHttp } from "./over-wire.ts";
import type { Measured, Rig, Row } from "./rig.ts";

const subject = { file: "graphql-gateway.ts" };
const reference = { file: "graphql-by-hand.ts" };

function row(id: string, work: string, http: HttpWork, bounds: Pick<Row, "must" | "aim">, by = ""): Row {
  return {
    id,
    work: `GraphQL in process, ${work}`,
    subject: "gateway with `graphql()`",
    reference: `Fastify route over graphql-js by hand${by}`,
    better: "higher",
    ...bounds,
    measure: (rig) => runDuel({ subject, reference, ...overHttp(http) }, rig),
  };
}

/** Subscriptions, one after the other: CPU time per event. */
function subscriptionRow(
  form: keyof typeof subscriptionForms,
  names: Pick<Row, "id" | "work" | "reference" | "must" | "aim">,
): Row {
  const load = ({ port }: Contestant): StreamLoad =>
    new StreamLoad(port, subscribed, subscriptionForms[form]);
  const measure = (rig: Rig): Promise<Measured> =>
    runDuel(
      {
        subject,
        reference,
        check: async (contestant) => {
          const numbers = await load(contestant).numbers();
          const { count } = subscribed;
          if (numbers.length === count && numbers.every((number, index) => number === index + 1)) return;
          throw new Error(`${contestant.name} gives ${numbers.length} events, or not in order`);
        },
        drive: async (contestant) => load(contestant),
      },
      rig,
    );
  return { ...names, subject: "gateway with `graphql()`", better: "higher", measure };
}

/** What GraphQL costs beside a server of it that is written by hand. */
export const graphqlRows: readonly Row[] = [
  row("f1", "one book by name", oneBook, { must: 0.85, aim: 1.5 }),
  row("f2", "list of 100 with 8 fields", hundred, { must: 1, aim: 3 }),
  row("f3", "100 items with a reference each", hundredCopies, { must: 0.85, aim: 1.3 }, " and dataloader"),
  {
    id: "f4",
    work: "GraphQL over the network, one book by name",
    subject: "gateway with `graphql()`",
    reference: "Fastify route over graphql-js and a grpc-js client by hand",
    better: "higher",
    must: 1.5,
    aim: 3,
    measure: (rig) => gatewayDuel(oneBookOverNetwork, reference, rig, subject),
  },
  subscriptionRow("socket", {
    id: "f5a",
    work: "GraphQL subscription, 100,000 events over one socket",
    reference: "`graphql-ws` on `ws`",
    must: 0.8,
    aim: 1.5,
  }),
  subscriptionRow("sse", {
    id: "f5b",
    work: "GraphQL subscription, 100,000 events as SSE",
    reference: "bare Node loop with drain",
    must: 0.5,
    aim: 0.8,
  }),
];
