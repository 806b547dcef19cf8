/** `npm run simulate`: a fleet of gateways in virtual time, with the library's own code of balancing, subsets, backoff, age and drain. */
import { parseArgs } from "node:util";
import { isGood, toTable, type Finding } from "./finding.ts";
import {
  backendZoneLoss,
  calls,
  coldStart,
  gatewayZoneLoss,
  rollingRestart,
  spread,
  type Fleet,
} from "./scenarios.ts";

const help = `npm run simulate -- [OPTIONS]
  --gateways 200      servers that clients connect to
  --backends 500      servers behind them
  --clients 2000000   clients, with one connection each
  --subset 20         backends that each gateway connects to
  --age 30            maxConnectionAgeMs of gateways and backends, in minutes
  --accepts N         connections that a gateway accepts in a second. Default: a twenty-fifth of its clients
  --seed 1
`;

const { values } = parseArgs({
  options: {
    gateways: { type: "string", default: "200" },
    backends: { type: "string", default: "500" },
    clients: { type: "string", default: "2000000" },
    subset: { type: "string", default: "20" },
    age: { type: "string", default: "30" },
    accepts: { type: "string" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(help);
  process.exit();
}

const [gateways, clients] = [whole("gateways"), whole("clients")];
const fleet: Fleet = {
  gateways,
  clients,
  backends: whole("backends"),
  subset: whole("subset"),
  ageMs: whole("age") * 60_000,
  acceptsPerSecond: values.accepts === undefined ? Math.ceil(clients / gateways / 25) : whole("accepts"),
  seed: whole("seed"),
};

const beganMs = performance.now();
const findings: Finding[] = [];
for (const scenario of [
  () => spread(fleet, true),
  () => spread(fleet, false),
  () => calls(fleet),
  () => rollingRestart(fleet),
  () => coldStart(fleet),
  () => gatewayZoneLoss(fleet),
  () => backendZoneLoss(fleet),
]) {
  findings.push(...(await scenario()));
}
console.log(
  `${gateways} gateways, ${fleet.backends} backends, ${clients} clients, subset ${fleet.subset}, seed ${fleet.seed}\n`,
);
console.log(toTable(findings));
const tookS = (performance.now() - beganMs) / 1_000;
const mostMiB = process.resourceUsage().maxRSS / 1_024;
const { user, system } = process.cpuUsage();
const cpuS = (user + system) / 1e6;
console.log(`\n${tookS.toFixed(1)} s, ${cpuS.toFixed(1)} s of a processor, ${Math.round(mostMiB)} MiB`);
if (!findings.every(isGood)) process.exitCode = 1;

function whole(name: "gateways" | "backends" | "clients" | "subset" | "age" | "accepts" | "seed"): number {
  const value = Number(values[name]);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name} must be a whole number of at least 1`);
  return value;
}
