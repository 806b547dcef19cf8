/** Finds the subscriptions of events: of as many types as the argument says, each of which ten subscriptions want. */
import type { GivenSubscription } from "../../src/dispatch/dispatch-options.ts";
import { coreWith, eventOf } from "../../test/support/known-subscriptions.ts";
import { madeEvents, madeEventType } from "../../test/support/made-events.ts";
import { repeat, takePart } from "./take-part.ts";

const types = Number(process.argv[2]);
const ofEach = 10;

const subscriptions = Object.fromEntries(
  Array.from({ length: types * ofEach }, (_, number): [string, GivenSubscription] => [
    `s${number}`,
    {
      filter: { types: [madeEventType(number % types)], exact: { subject: "7" } },
      target: { case: "topic", value: "audit" },
    },
  ]),
);
const core = await coreWith(madeEvents("made", types), subscriptions);
let turn = 0;

/** Events of the types by turns. */
function match(): number {
  const found = core.fanOut.match(eventOf(core, madeEventType(turn++ % types))).length;
  if (found !== ofEach) throw new Error(`${found} subscriptions of the event ${turn}`);
  return found;
}

takePart({ work: (ms) => repeat(ms, 1_000, match), sample: () => JSON.stringify(match()) });
