import { bundled } from "./bundled.ts";
import { runDuel } from "./duel.ts";
import { compareLives } from "./life.ts";
import { overHttp } from "./over-wire.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { send } from "./works.ts";

const plain = { file: "gateway.ts" };
const faced = (...args: readonly string[]) => ({ file: "faced-gateway.ts", args });
const none = faced("--no-docs", "--no-openapi");

async function starts(args: readonly string[], reference: typeof plain, rig: Rig): Promise<Measured> {
  return (await compareLives(await bundled(faced(...args)), await bundled(reference), rig)).start;
}

/** What faces cost a server that has them, and one that has none. */
export const faceRows: readonly Row[] = [
  {
    id: "f8",
    work: "start to first answer",
    subject: "gateway with flags of faces, all of them off",
    reference: "the same gateway without the flags",
    better: "lower",
    must: 1.01,
    aim: 1,
    measure: (rig) => starts(none.args, plain, rig),
  },
  {
    id: "f9",
    work: "REST → handler in process, small POST",
    subject: "gateway with console, OpenAPI, GraphQL and MCP",
    reference: "the same without",
    better: "higher",
    must: 0.98,
    aim: 1,
    measure: (rig) => {
      const subject = faced("--docs", "--openapi", "--graphql", "--mcp=safe");
      return runDuel({ subject, reference: none, ...overHttp(send) }, rig);
    },
  },
  {
    id: "f10a",
    work: "start to first answer",
    subject: "gateway with console, OpenAPI and MCP",
    reference: "the same without",
    better: "lower",
    must: 1.08,
    aim: 1.03,
    measure: (rig) => starts(["--docs", "--openapi", "--mcp=safe"], none, rig),
  },
  {
    id: "f10b",
    work: "start to first answer",
    subject: "gateway with GraphQL",
    reference: "the same without",
    better: "lower",
    must: 1.6,
    aim: 1.4,
    measure: (rig) => starts(["--no-docs", "--no-openapi", "--graphql"], none, rig),
  },
];
