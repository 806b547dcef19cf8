/**
 * `npm run soak`: thousands of readers of endless streams, or of rooms, some of which do not read; checks memory and
 * messages.
 */
import { parseArgs } from "node:util";
import { soakHub } from "./hub-soak.ts";
import { soakStreams } from "./stream-soak.ts";

const help = `npm run soak -- [OPTIONS]
  --hub            rooms of a hub in place of streams, with half as many readers by long polling and gRPC each as by SSE
                   and by WebSocket; a tenth of all comes back again and again
  --readers 1000   readers of each encoding: NDJSON, SSE and WebSocket; a tenth of them stops reading
  --seconds 60     how long they read; 600 for a real soak
  --rate 5         messages a second for each reader
Ends with 1 when a healthy reader misses a message, or the gateway's memory grows on and on.
`;

const { values } = parseArgs({
  options: {
    hub: { type: "boolean", default: false },
    readers: { type: "string", default: "1000" },
    seconds: { type: "string", default: "60" },
    rate: { type: "string", default: "5" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit();
}

const readers = Number(values.readers);
const seconds = Number(values.seconds);
const rate = Number(values.rate);
if (!(readers >= 1 && seconds >= 5 && rate > 0)) throw new Error(`wrong numbers\n${help}`);

const problems = await (values.hub ? soakHub : soakStreams)({ readers, seconds, rate });
for (const problem of problems) console.log(`PROBLEM: ${problem}`);
if (problems.length > 0) process.exitCode = 1;
