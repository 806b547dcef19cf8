/** `npm run bench`: compares the library with bare engines, side by side, and prints the ratios. */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { separateCores } from "./cores.ts";
import type { Rig } from "./rig.ts";
import { rows } from "./rows.ts";
import { toReport, toTable, type Finding } from "./table.ts";

const help = `npm run bench -- [OPTIONS]
  --rows 1,3a      only these rows; a number alone means all its parts
  --rounds 5       laps of each contestant that count
  --seconds 1.5    length of a lap
  --warmup 3       seconds of work before the first lap
  --calls 100000   calls between two looks at the memory (row 13)
  --json FILE      writes every figure there, too
  --profile DIR    writes a CPU profile of every contestant there; the figures are then of no use
`;

const { values } = parseArgs({
  options: {
    rows: { type: "string" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1.5" },
    warmup: { type: "string", default: "3" },
    calls: { type: "string", default: "100000" },
    json: { type: "string" },
    profile: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(help);
  process.exit();
}

const rig: Rig = {
  cores: separateCores(),
  rounds: positive("rounds", values.rounds),
  lapMs: positive("seconds", values.seconds) * 1000,
  warmupMs: positive("warmup", values.warmup) * 1000,
  calls: positive("calls", values.calls),
  profiles: values.profile,
};
if (rig.cores.warning !== undefined) console.error(rig.cores.warning);

const wanted = values.rows?.split(",");
const chosen = rows.filter(
  ({ id }) => wanted?.some((one) => id === one || id.replace(/[a-z]$/, "") === one) ?? true,
);
if (chosen.length === 0) throw new Error(`--rows: there are ${rows.map(({ id }) => id).join(", ")}`);

const findings: Finding[] = [];
const missing: string[] = [];
for (const row of chosen) {
  if (typeof row.measure === "string") {
    missing.push(`- ${row.id}, ${row.work}: ${row.measure}.`);
    continue;
  }
  const startedAt = performance.now();
  findings.push({ row, measured: await row.measure(rig) });
  console.error(`${row.id} ${row.work} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
}

const [processor] = cpus();
console.log(`Node ${process.versions.node}, ${cpus().length} cores (${processor?.model ?? "unknown"})\n`);
console.log(toTable(findings));
if (missing.length > 0) console.log(`\nNot measured yet:\n\n${missing.join("\n")}`);
if (values.json !== undefined) writeFileSync(values.json, toReport(findings));

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
  return value;
}
