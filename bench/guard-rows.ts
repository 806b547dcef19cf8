import { runDuel } from "./duel.ts";
import { overHttp } from "./over-wire.ts";
import type { Row } from "./rig.ts";
import { send } from "./works.ts";

/** What guards of calls cost: checks of messages. */
export const guardRows: readonly Row[] = [
  {
    id: "o9",
    work: "REST → handler in process, small POST",
    subject: "gateway with four rules of `buf.validate`",
    reference: "the same rpc without rules",
    better: "higher",
    must: 0.85,
    aim: 0.93,
    measure: (rig) => {
      const file = "checked-gateway.ts";
      const sides = { subject: { file, args: ["Checked"] }, reference: { file, args: ["Unchecked"] } };
      return runDuel({ ...sides, ...overHttp(send) }, rig);
    },
  },
];
