import { bundled } from "./bundled.ts";
import { runDuel } from "./duel.ts";
import { compareLives } from "./life.ts";
import { overHttp } from "./over-wire.ts";
import type { Row } from "./rig.ts";
import { send } from "./works.ts";

const app = { file: "app.ts" };
const gateway = { file: "gateway.ts" };

/** What an `App` of a configuration without features costs beside the same servers by hand. */
export const appRows: readonly Row[] = [
  {
    id: "o1",
    work: "REST → handler in process, small POST",
    subject: "`App` of a configuration without features",
    reference: "the same gateway by hand",
    better: "higher",
    must: 0.98,
    aim: 1,
    measure: (rig) => runDuel({ subject: app, reference: gateway, ...overHttp(send) }, rig),
  },
  {
    id: "o13",
    work: "start to first answer",
    subject: "`App` of a configuration without features",
    reference: "the same gateway by hand",
    better: "lower",
    must: 1.03,
    aim: 1,
    measure: async (rig) => (await compareLives(await bundled(app), await bundled(gateway), rig)).start,
  },
];
