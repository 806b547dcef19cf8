/** Picks one of as many endpoints as the second argument says, by the policy of the first one; an attempt begins and ends. */
import { pickerOf, type BalancePolicy, type EndpointCandidate } from "../../src/core/cluster/balance.ts";
import { EndpointLoad, type LoadedAttempt } from "../../src/core/cluster/endpoint-load.ts";
import { hash32 } from "../../src/core/cluster/hash-32.ts";
import { Spread } from "../../src/core/cluster/spread.ts";
import { repeat, takePart } from "./take-part.ts";

const policy = process.argv[2] as BalancePolicy; // As the row says.
const count = Number(process.argv[3]);

const endpoints: readonly EndpointCandidate[] = Array.from({ length: count }, (_, index) => ({
  weight: 1,
  fullWeight: 1,
  load: new EndpointLoad(0),
  hashKey: `10.0.${index >> 8}.${index & 255}:42001`,
  priority: 0,
  zone: undefined,
  isJudged: true,
}));
const parts = { random: Math.random, meanInFlight: () => 1 };
const picker = new Spread<EndpointCandidate>(() => pickerOf({ policy }, parts), Math.random, undefined);
picker.update(endpoints, 0, endpoints);

const keys = Array.from({ length: 4_096 }, (_, index) => hash32(`user ${index}`));
const attempt: LoadedAttempt = { unary: true, beganMs: 0, older: undefined, newer: undefined };
let picks = 0;

function pick(): void {
  const nowMs = ++picks / 100;
  const endpoint = picker.pick(nowMs, policy === "hash" ? keys[picks & 4_095] : undefined);
  if (endpoint === undefined) throw new Error("no endpoint");
  endpoint.load.begin(attempt, nowMs);
  endpoint.load.end(attempt, "success", true, nowMs + 1);
}

takePart({
  work: (ms) => repeat(ms, 1_000, pick),
  sample: () => JSON.stringify(picker.pick(picks / 100) !== undefined),
});
